bin_PROGRAMS += k6fleetctl
k6fleetctl_SOURCES = src/ctl/main.c src/ctl/verbs.c src/ctl/verbs.h src/ctl/verbs_fleet.c src/ctl/verbs_view.c src/ctl/verbs_run.c src/ctl/options.c src/ctl/options.h src/ctl/complete.c src/ctl/complete.h src/ctl/render_table.c src/ctl/render_table.h src/ctl/merge.c src/ctl/render_text.c src/ctl/render_run.c src/ctl/render_json.c src/ctl/ctl.h
k6fleetctl_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
k6fleetctl_LDADD = src/common/libjson.a src/common/libcommon.a $(JANSSON_LIBS) $(CAP_LIBS) -lm
