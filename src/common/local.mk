# libcommon is for every program.  libjson adds jansson, libconf libconfuse, libdb SQLite,
# libfilter libseccomp, libhttpd libmicrohttpd on libev.
noinst_LIBRARIES += src/common/libcommon.a src/common/libconf.a src/common/libjson.a src/common/libdb.a \
	src/common/libfilter.a src/common/libhttpd.a
src_common_libcommon_a_SOURCES = \
	src/common/args.c src/common/args.h src/common/err.c src/common/err.h src/common/limits.h src/common/agent_state.h \
	src/common/fdio.c src/common/fdio.h src/common/hash.h src/common/log.c src/common/log.h \
	src/common/journal.c src/common/journal.h \
	src/common/filestamp.c src/common/filestamp.h src/common/exit_status.c src/common/exit_status.h \
	src/common/hostfs.c src/common/hostfs.h src/common/allow.c src/common/allow.h \
	src/common/k6version.c src/common/k6version.h src/common/quantiles.c src/common/quantiles.h \
	src/common/mem.c src/common/mem.h src/common/units.c src/common/units.h \
	src/common/utf8.c src/common/utf8.h src/common/uuid.c src/common/uuid.h src/common/title.c src/common/title.h \
	src/common/sock.c src/common/sock.h src/common/hb.c src/common/hb.h \
	src/common/trace.h src/common/run_v4.c src/common/run_v4.h src/common/msg.c src/common/msg.h src/common/chan.c src/common/chan.h \
	src/common/prom.c src/common/prom.h src/common/run.c src/common/run_msg.c src/common/run.h src/common/creds.c src/common/creds.h
src_common_libcommon_a_CFLAGS = $(AM_CFLAGS)
src_common_libjson_a_SOURCES = src/common/json.c src/common/json.h src/common/json_fast.c src/common/json_fast.h src/common/json_text.c src/common/json_text.h \
	src/common/run_json.c src/common/run_json.h src/common/body.c src/common/body.h \
	src/common/target.c src/common/target_json.c src/common/target.h src/common/sandbox_layers.c src/common/sandbox_layers.h
src_common_libjson_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
src_common_libconf_a_SOURCES = src/common/optab.c src/common/optab_value.c src/common/optab.h src/common/conf.c src/common/conf.h \
	src/common/conf_target.c src/common/conf_target.h
src_common_libconf_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(CONFUSE_CFLAGS)
src_common_libdb_a_SOURCES = src/common/db.c src/common/db.h src/common/found.h
src_common_libdb_a_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS)
src_common_libfilter_a_SOURCES = src/common/filter.c src/common/filter.h
src_common_libfilter_a_CFLAGS = $(AM_CFLAGS) $(SECCOMP_CFLAGS)
src_common_libhttpd_a_SOURCES = src/common/httpd.c src/common/httpd.h
src_common_libhttpd_a_CFLAGS = $(AM_CFLAGS) $(MHD_CFLAGS) -Wno-strict-aliasing

COMMON_LIBS = src/common/libconf.a src/common/libjson.a src/common/libcommon.a
