# Packages, made from the archive of `make dist`, in packages/.
EXTRA_DIST += contrib/packaging/build-deb.sh contrib/packaging/build-rpm.sh contrib/packaging/k6fleet.spec contrib/packaging/debian

.PHONY: deb rpm
# The charts go into the package as npm has brought them.
deb: dist $(UPLOT_STAMP)
	$(SHELL) $(srcdir)/contrib/packaging/build-deb.sh $(distdir).tar.xz packages "$(UPLOT_DIR)"
rpm: dist $(UPLOT_STAMP)
	$(SHELL) $(srcdir)/contrib/packaging/build-rpm.sh $(distdir).tar.xz packages "$(UPLOT_DIR)"
mostlyclean-local:
	rm -rf packages
