noinst_LIBRARIES += src/dashboard/libdashboard.a
src_dashboard_libdashboard_a_SOURCES = src/dashboard/settings.c src/dashboard/settings.h \
	src/dashboard/store.c src/dashboard/store.h src/dashboard/store_priv.h src/dashboard/store_commands.c src/dashboard/store_rollup.c src/dashboard/store_audit.c \
	src/dashboard/store_runs.c src/dashboard/counts.c src/dashboard/counts.h src/dashboard/throttle.c src/dashboard/throttle.h \
	src/dashboard/live.c src/dashboard/live.h src/dashboard/events.c src/dashboard/events.h \
	src/dashboard/api_fleet.c src/dashboard/api_series.c src/dashboard/api_import.c src/dashboard/api_metrics.c src/dashboard/http.c src/dashboard/http.h \
	src/dashboard/api.c src/dashboard/api.h src/dashboard/api_agents.c src/dashboard/api_admin.c src/dashboard/api_commands.c \
	src/dashboard/api_read.c src/dashboard/run_json.c src/dashboard/run_json.h src/dashboard/quantile_lists.c src/dashboard/quantile_lists.h
src_dashboard_libdashboard_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(SQLITE_CFLAGS) $(MHD_CFLAGS) \
	-Wno-strict-aliasing

sbin_PROGRAMS += k6fleet-dashboard
k6fleet_dashboard_SOURCES = src/dashboard/main.c
k6fleet_dashboard_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) -Wno-strict-aliasing
k6fleet_dashboard_LDADD = src/dashboard/libdashboard.a src/common/libdb.a src/common/libhttpd.a src/common/libfilter.a $(COMMON_LIBS) $(CONFUSE_LIBS) \
	$(JANSSON_LIBS) $(SQLITE_LIBS) $(MHD_LIBS) $(SECCOMP_LIBS) $(CAP_LIBS) $(EV_LIBS) -lm

wwwdir = $(pkgdatadir)/www
dist_www_DATA = src/dashboard/www/index.html src/dashboard/www/app.js src/dashboard/www/style.css
