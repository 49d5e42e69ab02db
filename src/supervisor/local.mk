noinst_LIBRARIES += src/supervisor/libsupervisor.a
src_supervisor_libsupervisor_a_SOURCES = src/supervisor/fleet.c src/supervisor/fleet.h \
	src/supervisor/schedule.c src/supervisor/schedule.h src/supervisor/fleet_store.c src/supervisor/fleet_store.h src/supervisor/fleet_store_db.c src/supervisor/fleet_store_db.h \
	src/supervisor/runs.c src/supervisor/runs.h src/supervisor/targets.c src/supervisor/targets.h \
	src/supervisor/sync.c src/supervisor/sync.h src/supervisor/http_client.c src/supervisor/http_client.h \
	src/supervisor/agents.c src/supervisor/agents.h src/supervisor/agents_priv.h \
	src/supervisor/agents_hear.c src/supervisor/agents_report.c src/supervisor/agents_give.c src/supervisor/agents_end.c \
	src/supervisor/orders.c src/supervisor/orders.h src/supervisor/follow.c src/supervisor/follow.h \
	src/supervisor/logs.c src/supervisor/logs.h src/supervisor/commands.c src/supervisor/commands.h \
	src/supervisor/handed.c src/supervisor/handed.h \
	src/supervisor/keeper_link.c src/supervisor/keeper_link.h \
	src/supervisor/peers.c src/supervisor/peers.h src/supervisor/control.c src/supervisor/control.h \
	src/supervisor/reload.c src/supervisor/reload.h src/supervisor/desired.c src/supervisor/desired.h \
	src/supervisor/kept.c src/supervisor/kept.h src/supervisor/obstacle.c src/supervisor/obstacle.h \
	src/supervisor/turn.c src/supervisor/turn.h src/supervisor/tuning.c src/supervisor/tuning.h src/supervisor/host_facts.h \
	src/supervisor/fleet_waits.c src/supervisor/fleet_waits.h \
	src/supervisor/metrics_text.c src/supervisor/metrics_text.h \
	src/supervisor/metrics.c src/supervisor/metrics.h src/supervisor/metrics_http.c src/supervisor/metrics_http.h \
	src/supervisor/verbs.c src/supervisor/verbs.h src/supervisor/verbs_priv.h \
	src/supervisor/verbs_fleet.c src/supervisor/verbs_runs.c src/supervisor/supervisor.h
src_supervisor_libsupervisor_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(SQLITE_CFLAGS) $(CURL_CFLAGS) $(MHD_CFLAGS) \
	-Wno-strict-aliasing

libexec_PROGRAMS += k6fleet-supervisor
k6fleet_supervisor_SOURCES = src/supervisor/main.c
k6fleet_supervisor_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) -Wno-strict-aliasing
k6fleet_supervisor_LDADD = src/supervisor/libsupervisor.a src/common/libdb.a src/common/libfilter.a src/common/libhttpd.a \
	$(COMMON_LIBS) $(SECCOMP_LIBS) $(CONFUSE_LIBS) \
	$(JANSSON_LIBS) $(SQLITE_LIBS) $(CURL_LIBS) $(MHD_LIBS) $(CAP_LIBS) $(EV_LIBS) -lpthread -lm
