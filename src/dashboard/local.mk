noinst_LIBRARIES += src/dashboard/libdashboard.a
src_dashboard_libdashboard_a_SOURCES = \
	src/dashboard/api.c src/dashboard/api.h \
	src/dashboard/api_admin.c \
	src/dashboard/api_agents.c \
	src/dashboard/api_calls.h \
	src/dashboard/api_commands.c \
	src/dashboard/api_csv.c \
	src/dashboard/api_fleet.c \
	src/dashboard/api_import.c \
	src/dashboard/api_metrics.c \
	src/dashboard/api_pages.c \
	src/dashboard/api_read.c \
	src/dashboard/api_runs.c \
	src/dashboard/api_series.c \
	src/dashboard/assets.c src/dashboard/assets.h \
	src/dashboard/auth.c src/dashboard/auth.h \
	src/dashboard/counts.c src/dashboard/counts.h \
	src/dashboard/etag.c src/dashboard/etag.h \
	src/dashboard/events.c src/dashboard/events.h \
	src/dashboard/http.c src/dashboard/http.h \
	src/dashboard/http_clients.c src/dashboard/http_clients.h \
	src/dashboard/http_stream.c src/dashboard/http_stream.h \
	src/dashboard/live.c src/dashboard/live.h \
	src/dashboard/page_cache.c src/dashboard/page_cache.h \
	src/dashboard/quantile_lists.c src/dashboard/quantile_lists.h \
	src/dashboard/routes.c src/dashboard/routes.h \
	src/dashboard/run_csv.c src/dashboard/run_csv.h \
	src/dashboard/run_filter.c src/dashboard/run_filter.h \
	src/dashboard/sample.c src/dashboard/sample.h \
	src/dashboard/secrets.c src/dashboard/secrets.h \
	src/dashboard/settings.c src/dashboard/settings.h \
	src/dashboard/slice.c src/dashboard/slice.h \
	src/dashboard/store.c src/dashboard/store.h \
	src/dashboard/store_agents.c src/dashboard/store_agents.h \
	src/dashboard/store_audit.c src/dashboard/store_audit.h \
	src/dashboard/store_base.c src/dashboard/store_base.h \
	src/dashboard/store_commands.c src/dashboard/store_commands.h \
	src/dashboard/store_counts.c src/dashboard/store_counts.h \
	src/dashboard/store_hosts.c src/dashboard/store_hosts.h \
	src/dashboard/store_lists.c src/dashboard/store_lists.h \
	src/dashboard/store_names.c src/dashboard/store_names.h \
	src/dashboard/store_overview.c src/dashboard/store_overview.h \
	src/dashboard/store_priv.h \
	src/dashboard/store_reaper.c src/dashboard/store_reaper.h \
	src/dashboard/store_rollup.c src/dashboard/store_rollup.h \
	src/dashboard/store_run_row.c src/dashboard/store_run_row.h \
	src/dashboard/store_runs.c src/dashboard/store_runs.h \
	src/dashboard/store_samples.c src/dashboard/store_samples.h \
	src/dashboard/store_series.c src/dashboard/store_series.h \
	src/dashboard/store_targets.c src/dashboard/store_targets.h \
	src/dashboard/stream.h \
	src/dashboard/throttle.c src/dashboard/throttle.h \
	src/dashboard/upkeep.c src/dashboard/upkeep.h
src_dashboard_libdashboard_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(SQLITE_CFLAGS) $(MHD_CFLAGS) \
	-Wno-strict-aliasing

sbin_PROGRAMS += k6fleet-dashboard
k6fleet_dashboard_SOURCES = src/dashboard/main.c
k6fleet_dashboard_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) -Wno-strict-aliasing
k6fleet_dashboard_LDADD = src/dashboard/libdashboard.a src/common/libdb.a src/common/libhttpd.a src/common/libfilter.a $(COMMON_LIBS) $(CONFUSE_LIBS) \
	$(JANSSON_LIBS) $(SQLITE_LIBS) $(MHD_LIBS) $(SECCOMP_LIBS) $(CAP_LIBS) $(EV_LIBS) -lm

# Lays the pages out as they are served; www.stamp represents the tree src/dashboard/www.out.
www_sources = $(srcdir)/src/dashboard/www
www_files = src/dashboard/www/app.js \
	src/dashboard/www/common/api.js \
	src/dashboard/www/common/base.css \
	src/dashboard/www/common/dom.js \
	src/dashboard/www/common/en.js \
	src/dashboard/www/common/format.js \
	src/dashboard/www/common/i18n.js \
	src/dashboard/www/common/live.js \
	src/dashboard/www/common/pt.js \
	src/dashboard/www/common/tokens.css \
	src/dashboard/www/components/chart.js \
	src/dashboard/www/components/components.css \
	src/dashboard/www/components/curve.js \
	src/dashboard/www/components/dialogs.js \
	src/dashboard/www/components/runtable.js \
	src/dashboard/www/components/strip.js \
	src/dashboard/www/icon.svg \
	src/dashboard/www/index.html \
	src/dashboard/www/package-lock.json \
	src/dashboard/www/package.json \
	src/dashboard/www/pages/fleet/agents.js \
	src/dashboard/www/pages/fleet/fleet.js \
	src/dashboard/www/pages/fleet/scale.js \
	src/dashboard/www/pages/pages.css \
	src/dashboard/www/pages/run/run.js \
	src/dashboard/www/pages/runs/runs.js \
	src/dashboard/www/pages/site/site.js \
	src/dashboard/www/pages/sites/fields.js \
	src/dashboard/www/pages/sites/form.js \
	src/dashboard/www/pages/sites/sites.js
EXTRA_DIST += $(www_files) contrib/stage-www.sh
noinst_DATA = src/dashboard/www.stamp
src/dashboard/www.stamp: $(www_files) contrib/stage-www.sh $(UPLOT_STAMP)
	$(AM_V_GEN)$(MKDIR_P) src/dashboard && \
	$(SHELL) $(srcdir)/contrib/stage-www.sh $(www_sources) src/dashboard/www.out $(UPLOT_DIR) && echo >$@

# Installs exactly the version, with the checksum, of package-lock.json.
npm/uplot.stamp: $(www_sources)/package.json $(www_sources)/package-lock.json
	$(AM_V_GEN)$(MKDIR_P) npm && cp $(www_sources)/package.json $(www_sources)/package-lock.json npm && \
	chmod u+w npm/*.json && cd npm && $(NPM) ci --ignore-scripts --no-audit --no-fund --silent && echo >uplot.stamp

install-data-hook:
	$(MKDIR_P) "$(DESTDIR)$(pkgdatadir)"
	rm -rf "$(DESTDIR)$(pkgdatadir)/www"
	cp -R src/dashboard/www.out "$(DESTDIR)$(pkgdatadir)/www"
uninstall-hook:
	rm -rf "$(DESTDIR)$(pkgdatadir)/www"
	rm -f "$(DESTDIR)$(sysusersdir)/k6fleet.conf" "$(DESTDIR)$(sysusersdir)/k6fleet-dashboard.conf" "$(DESTDIR)$(tmpfilesdir)/k6fleet.conf"
clean-local:
	rm -rf src/dashboard/www.out npm
CLEANFILES += src/dashboard/www.stamp
