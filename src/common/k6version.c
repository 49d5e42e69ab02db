/* SPDX-License-Identifier: MIT */
/* The first word of the output that looks like a version is the version: the words before it
 * differ between releases. */
#include "common/k6version.h"

#include <stdio.h>
#include <string.h>

#define OLDEST_MINOR 49 /* of major version 0 */
#define NEWEST_MAJOR 2
#define FIRST_WITH_ES_MODULES 53 /* minor of major version 0 */

int k6version_parse(const char *printed, char version[K6VERSION_MAX], struct err *err)
{
	static const char allowed[] =
		"0123456789.-+abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	unsigned int major, minor;

	for (const char *p = printed; *p;) {
		size_t len;

		p += strspn(p, " \t\r\n,");
		len = strcspn(p, " \t\r\n,");
		if (len && len < K6VERSION_MAX && p[0] == 'v' && strspn(p, allowed) >= len &&
			sscanf(p, "v%u.%u", &major, &minor) == 2) {
			memcpy(version, p, len);
			version[len] = '\0';
			if (major > NEWEST_MAJOR || (major == 0 && minor < OLDEST_MINOR))
				return err_set(err,
					"k6 %s is not supported; " K6VERSION_SUPPORTED " are",
					version);
			return 0;
		}
		p += len;
	}
	return err_set(err, "it is no k6: asked for its version it says \"%.80s\"", printed);
}

bool k6version_has_es_modules(const char *version)
{
	unsigned int major, minor;

	return sscanf(version, "v%u.%u", &major, &minor) != 2 || major > 0 ||
		minor >= FIRST_WITH_ES_MODULES;
}
