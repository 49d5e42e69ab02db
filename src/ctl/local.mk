bin_PROGRAMS += k6fleetctl
noinst_LIBRARIES += src/ctl/libctl.a
# libctl contains everything except main(), so that tests can link it.
src_ctl_libctl_a_SOURCES = \
	src/ctl/client.c src/ctl/client.h src/ctl/complete.c src/ctl/complete.h src/ctl/ctl.c src/ctl/ctl.h \
	src/ctl/help.c src/ctl/help.h src/ctl/merge.c src/ctl/merge.h src/ctl/options.c src/ctl/options.h \
	src/ctl/render.h src/ctl/render_json.c src/ctl/render_run.c src/ctl/render_table.c src/ctl/render_table.h \
	src/ctl/render_text.c src/ctl/screen.h src/ctl/verbs.c src/ctl/verbs.h src/ctl/verbs_fleet.c \
	src/ctl/verbs_run.c src/ctl/verbs_view.c
src_ctl_libctl_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
k6fleetctl_SOURCES = src/ctl/main.c
k6fleetctl_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
k6fleetctl_LDADD = src/ctl/libctl.a src/common/libjson.a src/common/libcommon.a $(JANSSON_LIBS) $(CAP_LIBS) -lm
