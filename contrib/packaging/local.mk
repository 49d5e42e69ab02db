# `make deb` and `make rpm` build packages from the archive of `make dist` into packages/.
EXTRA_DIST += contrib/packaging/build-deb.sh contrib/packaging/build-rpm.sh contrib/packaging/k6fleet.spec contrib/packaging/debian

.PHONY: deb rpm
# The packages contain the charts' library that npm has fetched.
deb: dist $(UPLOT_STAMP)
	$(SHELL) $(srcdir)/contrib/packaging/build-deb.sh $(distdir).tar.xz packages "$(UPLOT_DIR)"
rpm: dist $(UPLOT_STAMP)
	$(SHELL) $(srcdir)/contrib/packaging/build-rpm.sh $(distdir).tar.xz packages "$(UPLOT_DIR)"
mostlyclean-local:
	rm -rf packages
