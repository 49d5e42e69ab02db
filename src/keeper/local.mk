noinst_LIBRARIES += src/keeper/libkeeper.a
src_keeper_libkeeper_a_SOURCES = src/keeper/privs.c src/keeper/privs.h src/keeper/notify.c src/keeper/notify.h \
	src/keeper/children.c src/keeper/children.h src/keeper/handover.c src/keeper/handover.h \
	src/keeper/files.c src/keeper/files.h \
	src/keeper/probe.c src/keeper/probe.h src/keeper/cgroup.c src/keeper/cgroup.h \
	src/keeper/memory.c src/keeper/memory.h \
	src/keeper/upgrade_state.c src/keeper/upgrade_state.h src/keeper/upgrade_children.c src/keeper/upgrade_children.h
src_keeper_libkeeper_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(CAP_CFLAGS)

sbin_PROGRAMS += k6fleetd
k6fleetd_SOURCES = src/keeper/main.c src/keeper/startup.c src/keeper/keeper.h \
	src/keeper/supervisor_link.c src/keeper/supervisor_link.h src/keeper/supervisor_life.c src/keeper/supervisor_life.h \
	src/keeper/keeper_orders.c src/keeper/keeper_orders.h \
	src/keeper/k6.c src/keeper/k6.h src/keeper/reload.c src/keeper/reload.h src/keeper/upgrade.c src/keeper/upgrade.h \
	src/keeper/upgrade_resume.c src/keeper/upgrade_resume.h
k6fleetd_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
k6fleetd_LDADD = src/keeper/libkeeper.a src/agent/libagent.a src/common/libfilter.a $(COMMON_LIBS) $(SECCOMP_LIBS) \
	$(CONFUSE_LIBS) $(JANSSON_LIBS) $(CAP_LIBS) -lm
