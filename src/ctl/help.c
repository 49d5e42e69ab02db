/* SPDX-License-Identifier: MIT */
/* Folds texts to the width of a page; the texts are in the table of verbs. */
#include "ctl/help.h"

#include <string.h>

#include "common/mem.h"

/* The column in which the texts begin. */
#define HELP_INDENT 26
#define HELP_WIDTH 80
#define HELP_TERM_INDENT 4
/* A verb with more mistakes than this is not recognised. */
#define MISTAKES_MAX 2
#define VERB_NAME_MAX 16

/* Prints words from column `at` on and folds them; further lines begin in column `indent`.
 * Returns the column behind the last word. */
static size_t print_words(FILE *out, size_t at, size_t indent, const char *text)
{
	size_t begun = at;

	while (*text) {
		/* Words in brackets stay together. */
		size_t word = strcspn(text, *text == '[' ? "]" : " ");

		word += text[word] == ']';
		if (at != begun && at + 1 + word > HELP_WIDTH) {
			fprintf(out, "\n%*s", (int)indent, "");
			at = begun = indent;
		}
		at += (size_t)fprintf(out, "%s%.*s", at == begun ? "" : " ", (int)word, text);
		text += word;
		text += strspn(text, " ");
	}
	return at;
}

/* Prints a term, and its text in a column of its own. */
static void print_entry(FILE *out, const char *term, const char *text)
{
	size_t at = print_words(out, (size_t)fprintf(out, "  "), HELP_TERM_INDENT, term);

	if (at + 2 > HELP_INDENT) {
		fputc('\n', out);
		at = 0;
	}
	fprintf(out, "%*s", (int)(HELP_INDENT - at), "");
	print_words(out, HELP_INDENT, HELP_INDENT, text);
	fputc('\n', out);
}

static void print_options(FILE *out, const struct verb *verb)
{
	char term[64];

	for (const struct verb_option *o = verb->options; o->id; o++)
		print_entry(out, ctl_options_spell(o->id, term, sizeof(term)), o->text);
}

void ctl_help_verb(const struct verb *verb)
{
	_cleanup_free_ char *synopsis = ctl_options_synopsis(verb);

	printf("usage: k6fleetctl %s\n\n%s.\n", synopsis, verb->text);
	if (verb->options[0].id)
		putchar('\n');
	print_options(stdout, verb);
	puts("\nAll verbs take --json and --no-color, too; more in k6fleetctl(1).");
}

void ctl_help_verbs(FILE *out, const struct verb *verbs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		_cleanup_free_ char *synopsis = ctl_options_synopsis(&verbs[i]);

		print_entry(out, synopsis, verbs[i].text);
	}
}

/* Returns Levenshtein's distance: how many characters must be inserted, removed or replaced. */
static size_t distance(const char *a, const char *b)
{
	size_t row[VERB_NAME_MAX + 1], len = strlen(b);

	for (size_t i = 0; i <= len; i++)
		row[i] = i;
	for (size_t i = 1; *a; a++, i++) {
		size_t before = row[0];

		row[0] = i;
		for (size_t k = 1; k <= len; k++) {
			size_t change = before + (*a != b[k - 1]);
			size_t least = row[k] < row[k - 1] ? row[k] + 1 : row[k - 1] + 1;

			before = row[k];
			row[k] = change < least ? change : least;
		}
	}
	return row[len];
}

const char *ctl_help_guess(const struct verb *verbs, size_t count, const char *typed)
{
	const char *best = NULL;
	size_t least = MISTAKES_MAX + 1, len = strlen(typed);

	for (size_t i = 0; i < count && len > 1 && len <= VERB_NAME_MAX; i++) {
		size_t d = strncmp(verbs[i].name, typed, len) ? distance(typed, verbs[i].name) : 0;

		if (d < least) {
			least = d;
			best = verbs[i].name;
		}
	}
	return best;
}
