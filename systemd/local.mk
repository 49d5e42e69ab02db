# Units for systemd, below $(prefix), where distributions and distcheck want them.
systemdunitdir = $(systemdsystemunitdir)
sysusersdir = $(prefix)/lib/sysusers.d
tmpfilesdir = $(prefix)/lib/tmpfiles.d
unit_templates = systemd/k6fleetd.service.in systemd/k6fleet-dashboard.service.in systemd/k6fleet.tmpfiles.in
nodist_systemdunit_DATA = systemd/k6fleetd.service systemd/k6fleet-dashboard.service
dist_systemdunit_DATA = systemd/k6fleet.target
dropindir = $(systemdsystemunitdir)/k6fleetd.service.d
dist_dropin_DATA = systemd/50-k6fleet-dashboard.conf
EXTRA_DIST += $(unit_templates) systemd/k6fleet.sysusers systemd/k6fleet-dashboard.sysusers
CLEANFILES += systemd/k6fleetd.service systemd/k6fleet-dashboard.service systemd/k6fleet.tmpfiles
noinst_DATA += systemd/k6fleet.tmpfiles

fill_in = $(AM_V_GEN)$(MKDIR_P) systemd && sed 's|@sbindir[@]|$(sbindir)|g; s|@sysconfdir[@]|$(sysconfdir)|g; s|@localstatedir[@]|$(localstatedir)|g' "$(srcdir)/$@.in" >$@
systemd/k6fleetd.service: systemd/k6fleetd.service.in Makefile
	$(fill_in)
systemd/k6fleet-dashboard.service: systemd/k6fleet-dashboard.service.in Makefile
	$(fill_in)
systemd/k6fleet.tmpfiles: systemd/k6fleet.tmpfiles.in Makefile
	$(fill_in)

install-exec-hook:
	$(MKDIR_P) "$(DESTDIR)$(sysusersdir)" "$(DESTDIR)$(tmpfilesdir)"
	$(INSTALL_DATA) $(srcdir)/systemd/k6fleet.sysusers "$(DESTDIR)$(sysusersdir)/k6fleet.conf"
	$(INSTALL_DATA) $(srcdir)/systemd/k6fleet-dashboard.sysusers "$(DESTDIR)$(sysusersdir)/k6fleet-dashboard.conf"
	$(INSTALL_DATA) systemd/k6fleet.tmpfiles "$(DESTDIR)$(tmpfilesdir)/k6fleet.conf"
