# Fuzz targets.  `make check` replays their corpus, with any compiler.  `make fuzz` searches new inputs with libFuzzer
# (clang), in a build of its own below fuzz-build: FUZZ_SECONDS for each target, FUZZ=msg for one of them.
FUZZ_TARGETS = msg conf k6out summary control quantile_lists target body
FUZZ_SECONDS = 60
FUZZ = $(FUZZ_TARGETS)
REPLAYS = tests/fuzz/replay_msg tests/fuzz/replay_conf tests/fuzz/replay_k6out tests/fuzz/replay_summary \
	tests/fuzz/replay_control tests/fuzz/replay_quantile_lists tests/fuzz/replay_target tests/fuzz/replay_body
check_PROGRAMS += $(REPLAYS)
TESTS += $(REPLAYS)
EXTRA_PROGRAMS = tests/fuzz/fuzz_msg tests/fuzz/fuzz_conf tests/fuzz/fuzz_k6out tests/fuzz/fuzz_summary \
	tests/fuzz/fuzz_control tests/fuzz/fuzz_quantile_lists tests/fuzz/fuzz_target tests/fuzz/fuzz_body
EXTRA_DIST += tests/fuzz/corpus tests/fuzz/run.sh tests/fuzz/README.md

FUZZ_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(CONFUSE_CFLAGS) $(SQLITE_CFLAGS)
FUZZ_LIBS = $(COMMON_LIBS) $(CONFUSE_LIBS) $(JANSSON_LIBS) $(CAP_LIBS) -lm
FUZZ_AGENT_LIBS = src/agent/libagent.a src/common/libfilter.a $(FUZZ_LIBS) $(SECCOMP_LIBS)
FUZZ_DASHBOARD_LIBS = src/dashboard/libdashboard.a src/common/libdb.a src/common/libhttpd.a $(FUZZ_LIBS) $(SQLITE_LIBS) $(MHD_LIBS) $(EV_LIBS)
FUZZ_SUPERVISOR_LIBS = src/supervisor/libsupervisor.a $(FUZZ_LIBS) $(EV_LIBS)
FUZZER_FLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer

tests_fuzz_replay_msg_SOURCES = tests/fuzz/fuzz_msg.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_msg_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"msg"'
tests_fuzz_replay_msg_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_msg_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_msg_SOURCES = tests/fuzz/fuzz_msg.c
tests_fuzz_fuzz_msg_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_msg_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_msg_LDFLAGS = $(FUZZER_FLAGS)
tests_fuzz_replay_conf_SOURCES = tests/fuzz/fuzz_conf.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_conf_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"conf"'
tests_fuzz_replay_conf_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_conf_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_conf_SOURCES = tests/fuzz/fuzz_conf.c
tests_fuzz_fuzz_conf_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_conf_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_conf_LDFLAGS = $(FUZZER_FLAGS)
tests_fuzz_replay_k6out_SOURCES = tests/fuzz/fuzz_k6out.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_k6out_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"k6out"'
tests_fuzz_replay_k6out_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_k6out_LDADD = $(FUZZ_AGENT_LIBS)
tests_fuzz_fuzz_k6out_SOURCES = tests/fuzz/fuzz_k6out.c
tests_fuzz_fuzz_k6out_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_k6out_LDADD = $(FUZZ_AGENT_LIBS)
tests_fuzz_fuzz_k6out_LDFLAGS = $(FUZZER_FLAGS)
tests_fuzz_replay_summary_SOURCES = tests/fuzz/fuzz_summary.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_summary_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"summary"'
tests_fuzz_replay_summary_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_summary_LDADD = $(FUZZ_AGENT_LIBS)
tests_fuzz_fuzz_summary_SOURCES = tests/fuzz/fuzz_summary.c
tests_fuzz_fuzz_summary_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_summary_LDADD = $(FUZZ_AGENT_LIBS)
tests_fuzz_fuzz_summary_LDFLAGS = $(FUZZER_FLAGS)
tests_fuzz_replay_control_SOURCES = tests/fuzz/fuzz_control.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_control_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"control"'
tests_fuzz_replay_control_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_control_LDADD = $(FUZZ_SUPERVISOR_LIBS)
tests_fuzz_fuzz_control_SOURCES = tests/fuzz/fuzz_control.c
tests_fuzz_fuzz_control_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_control_LDADD = $(FUZZ_SUPERVISOR_LIBS)
tests_fuzz_fuzz_control_LDFLAGS = $(FUZZER_FLAGS)
tests_fuzz_replay_quantile_lists_SOURCES = tests/fuzz/fuzz_quantile_lists.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_quantile_lists_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"quantile_lists"'
tests_fuzz_replay_quantile_lists_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_quantile_lists_LDADD = $(FUZZ_DASHBOARD_LIBS)
tests_fuzz_fuzz_quantile_lists_SOURCES = tests/fuzz/fuzz_quantile_lists.c
tests_fuzz_fuzz_quantile_lists_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_quantile_lists_LDADD = $(FUZZ_DASHBOARD_LIBS)
tests_fuzz_fuzz_quantile_lists_LDFLAGS = $(FUZZER_FLAGS)
tests_fuzz_replay_target_SOURCES = tests/fuzz/fuzz_target.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_target_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"target"'
tests_fuzz_replay_target_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_target_LDADD = $(FUZZ_AGENT_LIBS)
tests_fuzz_fuzz_target_SOURCES = tests/fuzz/fuzz_target.c
tests_fuzz_fuzz_target_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_target_LDADD = $(FUZZ_AGENT_LIBS)
tests_fuzz_fuzz_target_LDFLAGS = $(FUZZER_FLAGS)
tests_fuzz_replay_body_SOURCES = tests/fuzz/fuzz_body.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_body_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"body"'
tests_fuzz_replay_body_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_body_LDADD = $(FUZZ_DASHBOARD_LIBS)
tests_fuzz_fuzz_body_SOURCES = tests/fuzz/fuzz_body.c
tests_fuzz_fuzz_body_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_body_LDADD = $(FUZZ_DASHBOARD_LIBS)
tests_fuzz_fuzz_body_LDFLAGS = $(FUZZER_FLAGS)

.PHONY: fuzz fuzz-programs
fuzz-programs: $(EXTRA_PROGRAMS)
if FUZZING
fuzz: $(EXTRA_PROGRAMS)
	$(SHELL) $(top_srcdir)/tests/fuzz/run.sh $(top_srcdir) $(abs_top_builddir) $(FUZZ_SECONDS) $(FUZZ)
else
fuzz:
	$(MKDIR_P) fuzz-build
	cd fuzz-build && { test -f Makefile || $(abs_top_srcdir)/configure CC=clang --enable-sanitizers=fuzzer-no-link,address,undefined; }
	$(MAKE) -C fuzz-build fuzz FUZZ_SECONDS='$(FUZZ_SECONDS)' FUZZ='$(FUZZ)'
endif
CLEANFILES += $(EXTRA_PROGRAMS)
