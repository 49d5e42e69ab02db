/* SPDX-License-Identifier: MIT */
/* Knows the text format only; which metrics there are is decided by the callers. */
#include "common/prom.h"

void prom_head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void prom_one(FILE *f, const char *name, const char *type, const char *help, double value)
{
	prom_head(f, name, type, help);
	fprintf(f, "%s %.15g\n", name, value);
}

void prom_label(FILE *f, const char *text)
{
	for (const char *p = text; *p; p++) {
		if (*p == '\\' || *p == '"')
			fputc('\\', f);
		if (*p == '\n')
			fputs("\\n", f);
		else
			fputc(*p, f);
	}
}
