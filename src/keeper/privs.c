/* SPDX-License-Identifier: MIT */
/* capabilities(7) through libcap.  Each capability that the keeper has is listed with its
 * reason. */
#include "keeper/privs.h"

#include <errno.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/creds.h"
#include "common/mem.h"

static const cap_value_t kept[] = {
	CAP_SYS_ADMIN,           /* a worker's namespaces, its tmpfs and host name */
	CAP_SETUID,              /* becoming k6fleet and k6agent */
	CAP_SETGID, CAP_SETPCAP, /* without it the children's bounding set could not be emptied */
	CAP_KILL,                /* ending workers, which have another uid */
};

static int is_kept(cap_value_t cap)
{
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		if (kept[i] == cap)
			return 1;
	}
	return 0;
}

int privs_limit(struct err *err)
{
	cap_t caps, now;
	int rc = 0;

	/* Safe: this only takes away.  All files that need more capabilities are open. */
	for (cap_value_t cap = 0; cap <= CAP_LAST_CAP && cap_get_bound(cap) >= 0; cap++) {
		if (!is_kept(cap) && cap_drop_bound(cap) < 0 && errno != EPERM)
			return err_sys(err, errno, "cannot cut the capability bounding set");
	}
	creds_prepare();
	now = cap_get_proc();
	caps = cap_init();
	for (size_t i = 0; now && caps && i < ARRAY_SIZE(kept); i++) {
		cap_flag_value_t have = CAP_CLEAR;

		/* A container may lack some of them; the operation that needs a missing one
		 * fails then. */
		cap_get_flag(now, kept[i], CAP_PERMITTED, &have);
		if (have == CAP_SET) {
			cap_set_flag(caps, CAP_PERMITTED, 1, &kept[i], CAP_SET);
			cap_set_flag(caps, CAP_EFFECTIVE, 1, &kept[i], CAP_SET);
		}
	}
	if (!now || !caps || cap_set_proc(caps) < 0)
		rc = err_sys(err, errno, "cannot limit the keeper's capabilities");
	cap_free(caps);
	cap_free(now);
	if (rc == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		rc = err_sys(err, errno, "cannot set no_new_privs");
	return rc;
}

int privs_pass_on(struct err *err)
{
	cap_t now = cap_get_proc();
	int rc = 0;

	for (size_t i = 0; now && i < ARRAY_SIZE(kept); i++) {
		cap_flag_value_t have = CAP_CLEAR;

		cap_get_flag(now, kept[i], CAP_PERMITTED, &have);
		if (have == CAP_SET)
			cap_set_flag(now, CAP_INHERITABLE, 1, &kept[i], CAP_SET);
	}
	if (!now || cap_set_proc(now) < 0)
		rc = err_sys(err, errno, "cannot make the capabilities inheritable");
	/* Safe: the sets that are raised are subsets of what this process has, for an image that
	 * it chose.  Living children have their own sets. */
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(kept); i++) {
		cap_flag_value_t have = CAP_CLEAR;

		cap_get_flag(now, kept[i], CAP_PERMITTED, &have);
		if (have == CAP_SET &&
			prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept[i], 0, 0) < 0)
			rc = err_sys(err, errno, "cannot raise an ambient capability");
	}
	cap_free(now);
	return rc;
}

int privs_raise_files(unsigned long need, struct err *err)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return err_sys(err, errno, "cannot read the limit on open files");
	lim.rlim_cur = lim.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &lim) < 0)
		return err_sys(err, errno, "cannot raise the limit on open files");
	if (lim.rlim_max != RLIM_INFINITY && lim.rlim_max < need)
		return err_set(err,
			"the limit on open files is %lu, max_workers needs %lu; raise it (ulimit -Hn, "
			"LimitNOFILE=) or lower max_workers",
			(unsigned long)lim.rlim_max, need);
	return 0;
}
