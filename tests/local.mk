# Unit tests use cmocka and the convenience libraries.  Program tests use bats and real k6.
# Both print TAP, so that `make check` counts single tests.
CMOCKA_TESTS = tests/unit/test_units tests/unit/test_msg tests/unit/test_run tests/unit/test_run_documents tests/unit/test_fleet_store tests/unit/test_conf tests/unit/test_target tests/unit/test_documents tests/unit/test_body \
	tests/unit/test_base tests/unit/test_log tests/unit/test_client tests/unit/test_render \
	tests/unit/test_summary tests/unit/test_outcome tests/unit/test_fleet tests/unit/test_schedule \
	tests/unit/test_quantiles tests/unit/test_allow tests/unit/test_peers tests/unit/test_dashboard tests/unit/test_store_damage \
	tests/unit/test_upgrade_state tests/unit/test_children \
	tests/unit/test_sync tests/unit/test_control tests/unit/test_desired tests/unit/test_commands \
	tests/unit/test_orders tests/unit/test_follow tests/unit/test_logs tests/unit/test_agents tests/unit/test_reload
# The longest tests come first, because two run at a time.
PROGRAM_TESTS = tests/program/guard.bats tests/program/sync.bats tests/program/supervision.bats tests/program/schedule.bats tests/program/now.bats \
	tests/program/storage.bats tests/program/damage.bats tests/program/terminal.bats tests/program/runs.bats tests/program/sandbox.bats tests/program/handover.bats \
	tests/program/api.bats tests/program/scripts.bats tests/program/dashboard.bats tests/program/cli.bats tests/program/access.bats
# Tests that depend most on the version of k6: contrib/check.sh also runs them with the previous major version.
K6_TESTS = tests/program/runs.bats tests/program/now.bats tests/program/scripts.bats

# tests/layers tests the sources and needs no cmocka.
UNIT_TESTS = tests/layers tests/probes \
	$(CMOCKA_TESTS)
EXTRA_DIST += tests/layers tests/probes tests/without-cmocka tests/columns.py tests/routes.py tests/archive.sh tests/cross \
	tests/contract/requirements.txt
if HAVE_CMOCKA
check_PROGRAMS += $(CMOCKA_TESTS)
TESTS += $(UNIT_TESTS)
else
TESTS += tests/layers tests/probes tests/without-cmocka
endif
TESTS += $(PROGRAM_TESTS)
TEST_EXTENSIONS = .bats
TAP_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = env CMOCKA_MESSAGE_OUTPUT=TAP $(TAP_DRIVER)
BATS_LOG_DRIVER = $(TAP_DRIVER)
BATS_LOG_COMPILER = $(SHELL) $(top_srcdir)/tests/run-bats.sh
AM_TESTS_ENVIRONMENT = top_builddir='$(abs_top_builddir)'; export top_builddir; \
	top_srcdir='$(abs_top_srcdir)'; export top_srcdir; CC='$(CC)'; export CC; NM='$(NM)'; export NM;

UNIT_CPPFLAGS = $(AM_CPPFLAGS) -DFIXTURES='"$(abs_top_srcdir)/tests/fixtures/k6"' -DTOP_SRCDIR='"$(abs_top_srcdir)"'
UNIT_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(CMOCKA_CFLAGS)
UNIT_LIBS = $(COMMON_LIBS) $(CONFUSE_LIBS) $(JANSSON_LIBS) $(CMOCKA_LIBS) $(CAP_LIBS) -lm

tests_unit_test_base_SOURCES = tests/unit/test_base.c
tests_unit_test_base_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_base_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_base_LDADD = $(UNIT_LIBS)
tests_unit_test_log_SOURCES = tests/unit/test_log.c
tests_unit_test_log_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_log_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_log_LDADD = $(UNIT_LIBS)
tests_unit_test_client_SOURCES = tests/unit/test_client.c
tests_unit_test_client_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_client_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_client_LDADD = src/ctl/libctl.a $(UNIT_LIBS)
tests_unit_test_render_SOURCES = tests/unit/test_render.c
tests_unit_test_render_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_render_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_render_LDADD = src/ctl/libctl.a $(UNIT_LIBS)
tests_unit_test_units_SOURCES = tests/unit/test_units.c tests/unit/test.h
tests_unit_test_units_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_units_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_units_LDADD = $(UNIT_LIBS)
tests_unit_test_msg_SOURCES = tests/unit/test_msg.c
tests_unit_test_msg_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_msg_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_msg_LDADD = $(UNIT_LIBS)
tests_unit_test_upgrade_state_SOURCES = tests/unit/test_upgrade_state.c
tests_unit_test_upgrade_state_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_upgrade_state_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_upgrade_state_LDADD = src/keeper/libkeeper.a src/agent/libagent.a src/common/libfilter.a $(UNIT_LIBS) $(SECCOMP_LIBS)
tests_unit_test_run_SOURCES = tests/unit/test_run.c
tests_unit_test_run_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_run_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_run_LDADD = src/supervisor/libsupervisor.a src/ctl/libctl.a $(UNIT_LIBS)
tests_unit_test_run_documents_SOURCES = tests/unit/test_run_documents.c tests/unit/documents.h
tests_unit_test_run_documents_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_run_documents_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_run_documents_LDADD = $(UNIT_LIBS)
tests_unit_test_fleet_store_SOURCES = tests/unit/test_fleet_store.c
tests_unit_test_fleet_store_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_fleet_store_CFLAGS = $(UNIT_CFLAGS) $(SQLITE_CFLAGS)
tests_unit_test_fleet_store_LDADD = src/supervisor/libsupervisor.a src/common/libdb.a $(UNIT_LIBS) $(SQLITE_LIBS) $(EV_LIBS) -lpthread
tests_unit_test_children_SOURCES = tests/unit/test_children.c
tests_unit_test_children_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_children_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_children_LDADD = src/keeper/libkeeper.a src/agent/libagent.a src/common/libfilter.a $(UNIT_LIBS) $(SECCOMP_LIBS)
tests_unit_test_conf_SOURCES = tests/unit/test_conf.c
tests_unit_test_conf_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_conf_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_conf_LDADD = $(UNIT_LIBS)
tests_unit_test_body_SOURCES = tests/unit/test_body.c
tests_unit_test_body_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_body_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_body_LDADD = $(UNIT_LIBS)
tests_unit_test_documents_SOURCES = tests/unit/test_documents.c tests/unit/documents.h
tests_unit_test_documents_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_documents_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_documents_LDADD = $(UNIT_LIBS)
tests_unit_test_target_SOURCES = tests/unit/test_target.c
tests_unit_test_target_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_target_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_target_LDADD = src/agent/libagent.a src/common/libfilter.a $(UNIT_LIBS) $(SECCOMP_LIBS)
tests_unit_test_summary_SOURCES = tests/unit/test_summary.c
tests_unit_test_summary_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_summary_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_summary_LDADD = src/agent/libagent.a src/common/libfilter.a $(UNIT_LIBS) $(SECCOMP_LIBS)
tests_unit_test_outcome_SOURCES = tests/unit/test_outcome.c
tests_unit_test_outcome_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_outcome_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_outcome_LDADD = src/agent/libagent.a src/common/libfilter.a $(UNIT_LIBS) $(SECCOMP_LIBS)
tests_unit_test_fleet_SOURCES = tests/unit/test_fleet.c
tests_unit_test_fleet_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_fleet_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_fleet_LDADD = src/supervisor/libsupervisor.a $(UNIT_LIBS)
tests_unit_test_schedule_SOURCES = tests/unit/test_schedule.c
tests_unit_test_schedule_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_schedule_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_schedule_LDADD = src/supervisor/libsupervisor.a $(UNIT_LIBS)
tests_unit_test_allow_SOURCES = tests/unit/test_allow.c
tests_unit_test_allow_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_allow_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_allow_LDADD = $(UNIT_LIBS)
tests_unit_test_peers_SOURCES = tests/unit/test_peers.c
tests_unit_test_peers_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_peers_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_peers_LDADD = src/supervisor/libsupervisor.a $(UNIT_LIBS)
tests_unit_test_quantiles_SOURCES = tests/unit/test_quantiles.c
tests_unit_test_quantiles_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_quantiles_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_quantiles_LDADD = $(UNIT_LIBS)

tests_unit_test_store_damage_SOURCES = tests/unit/test_store_damage.c
tests_unit_test_store_damage_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_store_damage_CFLAGS = $(UNIT_CFLAGS) $(SQLITE_CFLAGS)
tests_unit_test_store_damage_LDADD = src/dashboard/libdashboard.a src/common/libdb.a $(UNIT_LIBS) $(SQLITE_LIBS)
# Parts of the supervisor: with a simulated loop and clock, and with neighbours of the test's own, which the linker takes
# before those of the library.
FAKE_LOOP = tests/unit/fake_loop.c tests/unit/fake_loop.h
FAKE_WRAPS = $(AM_LDFLAGS) -Wl,--wrap=units_now_mono_ms,--wrap=units_now_wall_ms
FAKE_LDADD = src/supervisor/libsupervisor.a $(UNIT_LIBS)
tests_unit_test_sync_SOURCES = tests/unit/test_sync.c $(FAKE_LOOP)
tests_unit_test_sync_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_sync_CFLAGS = $(UNIT_CFLAGS) -Wno-strict-aliasing
tests_unit_test_sync_LDFLAGS = $(FAKE_WRAPS)
tests_unit_test_sync_LDADD = $(FAKE_LDADD)
tests_unit_test_control_SOURCES = tests/unit/test_control.c $(FAKE_LOOP)
tests_unit_test_control_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_control_CFLAGS = $(UNIT_CFLAGS) -Wno-strict-aliasing
tests_unit_test_control_LDFLAGS = $(FAKE_WRAPS)
tests_unit_test_control_LDADD = $(FAKE_LDADD)
tests_unit_test_desired_SOURCES = tests/unit/test_desired.c $(FAKE_LOOP)
tests_unit_test_desired_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_desired_CFLAGS = $(UNIT_CFLAGS) -Wno-strict-aliasing
tests_unit_test_desired_LDFLAGS = $(FAKE_WRAPS)
tests_unit_test_desired_LDADD = $(FAKE_LDADD)
tests_unit_test_commands_SOURCES = tests/unit/test_commands.c $(FAKE_LOOP)
tests_unit_test_commands_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_commands_CFLAGS = $(UNIT_CFLAGS) -Wno-strict-aliasing
tests_unit_test_commands_LDFLAGS = $(FAKE_WRAPS)
tests_unit_test_commands_LDADD = $(FAKE_LDADD)
tests_unit_test_orders_SOURCES = tests/unit/test_orders.c $(FAKE_LOOP)
tests_unit_test_orders_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_orders_CFLAGS = $(UNIT_CFLAGS) -Wno-strict-aliasing
tests_unit_test_orders_LDFLAGS = $(FAKE_WRAPS)
tests_unit_test_orders_LDADD = $(FAKE_LDADD)
tests_unit_test_follow_SOURCES = tests/unit/test_follow.c $(FAKE_LOOP)
tests_unit_test_follow_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_follow_CFLAGS = $(UNIT_CFLAGS) -Wno-strict-aliasing
tests_unit_test_follow_LDFLAGS = $(FAKE_WRAPS)
tests_unit_test_follow_LDADD = $(FAKE_LDADD)
tests_unit_test_logs_SOURCES = tests/unit/test_logs.c $(FAKE_LOOP)
tests_unit_test_logs_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_logs_CFLAGS = $(UNIT_CFLAGS) -Wno-strict-aliasing
tests_unit_test_logs_LDFLAGS = $(FAKE_WRAPS)
tests_unit_test_logs_LDADD = $(FAKE_LDADD)
tests_unit_test_reload_SOURCES = tests/unit/test_reload.c $(FAKE_LOOP)
tests_unit_test_reload_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_reload_CFLAGS = $(UNIT_CFLAGS) -Wno-strict-aliasing
tests_unit_test_reload_LDFLAGS = $(FAKE_WRAPS)
tests_unit_test_reload_LDADD = $(FAKE_LDADD)
tests_unit_test_agents_SOURCES = tests/unit/test_agents.c $(FAKE_LOOP)
tests_unit_test_agents_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_agents_CFLAGS = $(UNIT_CFLAGS) -Wno-strict-aliasing
tests_unit_test_agents_LDFLAGS = $(FAKE_WRAPS)
tests_unit_test_agents_LDADD = $(FAKE_LDADD)

tests_unit_test_dashboard_SOURCES = tests/unit/test_dashboard.c
tests_unit_test_dashboard_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_dashboard_CFLAGS = $(UNIT_CFLAGS) $(SQLITE_CFLAGS)
tests_unit_test_dashboard_LDADD = src/dashboard/libdashboard.a src/common/libdb.a $(UNIT_LIBS) $(SQLITE_LIBS)

# A hostile stand-in for k6, for sandbox.bats.  It has no sanitizers, because it runs with an empty environment
# under limits that are too low for a sanitizer's memory.
check_PROGRAMS += tests/program/probe
tests_program_probe_SOURCES = tests/program/probe.c
tests_program_probe_CFLAGS = -std=gnu17 $(WARN_CFLAGS) $(HARDEN_CFLAGS)
tests_program_probe_LDFLAGS = $(HARDEN_LDFLAGS)

# Benchmarks are built with the tests, so that they keep compiling.  `make bench` runs them as root, `make check` does not.
check_PROGRAMS += tests/bench/start
tests_bench_start_SOURCES = tests/bench/start.c
tests_bench_start_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_bench_start_LDADD = src/keeper/libkeeper.a src/agent/libagent.a src/common/libfilter.a $(COMMON_LIBS) \
	$(CONFUSE_LIBS) $(JANSSON_LIBS) $(CAP_LIBS) $(SECCOMP_LIBS) -lm

.PHONY: bench bench-dashboard chaos
bench: all tests/bench/start$(EXEEXT)
	python3 $(top_srcdir)/tests/bench/fleet.py $(abs_top_builddir) $(top_srcdir)

# make bench-dashboard RUNS=200000
RUNS = 2000000
bench-dashboard: all
	python3 $(top_srcdir)/tests/bench/dashboard.py $(abs_top_builddir) --runs $(RUNS)

# Tests of the web pages need node, npm, chromium and bats.  npm installs their packages in the versions of the lock file.
browser_files = tests/browser/browser.mjs tests/browser/pages.mjs tests/browser/large.mjs tests/browser/package.json tests/browser/package-lock.json
pages-test/installed: $(browser_files)
	$(MKDIR_P) pages-test && for f in $(browser_files); do cp -f $(top_srcdir)/$$f pages-test || exit; done
	cd pages-test && npm ci --no-audit --no-fund --silent && echo >installed

check-pages: all pages-test/installed
	PAGES=$(abs_builddir)/pages-test top_builddir=$(abs_top_builddir) top_srcdir=$(abs_top_srcdir) bats --tap $(top_srcdir)/tests/browser/pages.bats

# Takes pictures of every page at four widths, light and dark, into pages-test/shots.
screenshots: all pages-test/installed
	$(MKDIR_P) pages-test/shots
	SHOTS=$(abs_builddir)/pages-test/shots PAGES=$(abs_builddir)/pages-test top_builddir=$(abs_top_builddir) top_srcdir=$(abs_top_srcdir) \
	bats -f 'every page' $(top_srcdir)/tests/browser/pages.bats
	@echo "pictures are in $(abs_builddir)/pages-test/shots"

# Checks layout and mistakes of scripts and style sheets.  Needs node and npm, which installs the tools of the lock file.
pages_lint_files = tests/pages/package.json tests/pages/package-lock.json tests/pages/prettier.config.mjs \
	tests/pages/eslint.config.mjs tests/pages/stylelint.config.mjs
pages-lint/installed: $(pages_lint_files)
	$(MKDIR_P) pages-lint && for f in $(pages_lint_files); do cp -f $(top_srcdir)/$$f pages-lint || exit; done
	cd pages-lint && npm ci --ignore-scripts --no-audit --no-fund --silent && echo >installed

lint-pages: pages-lint/installed
	$(SHELL) $(top_srcdir)/tests/pages/lint.sh $(top_srcdir) $(abs_builddir)/pages-lint

format-pages: pages-lint/installed
	$(SHELL) $(top_srcdir)/tests/pages/lint.sh --fix $(top_srcdir) $(abs_builddir)/pages-lint

# Measures the longest frame with 1,000 agents and 200 targets.
bench-pages: all pages-test/installed
	PAGES=$(abs_builddir)/pages-test LARGE=1 top_builddir=$(abs_top_builddir) top_srcdir=$(abs_top_srcdir) bats --show-output-of-passing-tests $(top_srcdir)/tests/browser/large.bats

# Tests the packages under a real systemd, as root; contrib/check.sh installs the tools for it.
check-vm: all
	$(top_srcdir)/tests/vm/check.sh $(abs_top_builddir)

.PHONY: check-pages lint-pages format-pages screenshots bench-pages check-vm
CLEANFILES += pages-test/installed pages-lint/installed

# make chaos CHAOS='--seconds 600 --seed 7'
CHAOS = --seconds 120
chaos: all
	python3 $(top_srcdir)/tests/chaos/chaos.py --build $(abs_top_builddir) $(CHAOS)

EXTRA_DIST += $(PROGRAM_TESTS) tests/program/helpers.bash tests/program/server.py tests/program/proxy.py tests/program/validate.py tests/program/schema.py tests/program/clock.c tests/program/in_userns.py tests/run-bats.sh \
	tests/chaos/chaos.py tests/bench/fleet.py tests/bench/dashboard.py \
	$(browser_files) tests/browser/pages.bats tests/browser/large.bats tests/contract/contract.sh tests/contract/schemathesis.toml \
	tests/vm tests/retry.bash $(pages_lint_files) tests/pages/lint.sh \
	tests/lint.sh tests/install.sh tests/cppcheck.h tests/fixtures
