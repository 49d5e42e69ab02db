# Sample files with all lines commented out; an existing file is never overwritten.
EXTRA_DIST += etc/k6fleetd.conf etc/dashboard.conf
pkgsysconfdir = $(sysconfdir)/k6fleet
pkgexamplesdir = $(docdir)/examples
dist_pkgexamples_DATA = etc/k6fleetd.conf etc/dashboard.conf

install-data-local:
	$(MKDIR_P) "$(DESTDIR)$(pkgsysconfdir)"
	for f in k6fleetd.conf dashboard.conf; do \
		test -e "$(DESTDIR)$(pkgsysconfdir)/$$f" || \
			$(INSTALL_DATA) "$(srcdir)/etc/$$f" "$(DESTDIR)$(pkgsysconfdir)/$$f" || exit 1; \
	done

# distcheck wants nothing left; what differs from ours is the administrator's and stays.
uninstall-local:
	for f in k6fleetd.conf dashboard.conf; do \
		cmp -s "$(srcdir)/etc/$$f" "$(DESTDIR)$(pkgsysconfdir)/$$f" && \
			rm -f "$(DESTDIR)$(pkgsysconfdir)/$$f"; \
	done; true
