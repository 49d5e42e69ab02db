noinst_LIBRARIES += src/agent/libagent.a
src_agent_libagent_a_SOURCES = src/agent/script.c src/agent/script.h src/agent/summary.c src/agent/summary.h \
	src/agent/outcome.c src/agent/outcome.h src/agent/sandbox.c src/agent/sandbox.h \
	src/agent/rootfs.c src/agent/rootfs.h src/agent/confine.c src/agent/confine.h \
	src/agent/landlock.c src/agent/landlock.h src/agent/verdict.c src/agent/verdict.h \
	src/agent/k6bin.h \
	src/agent/launch.c src/agent/launch.h src/agent/k6out.c src/agent/k6out.h \
	src/agent/k6run.c src/agent/k6run.h src/agent/worker.c src/agent/worker.h
src_agent_libagent_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
