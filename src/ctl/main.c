/* SPDX-License-Identifier: MIT */
/* The options before the verb; everything behind it is read by the table of verbs. */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/complete.h"
#include "ctl/ctl.h"
#include "ctl/help.h"
#include "ctl/render_table.h"
#include "ctl/verbs.h"

#define DEFAULT_SOCKET RUNSTATEDIR "/k6fleet/control.sock"

static void usage(FILE *out)
{
	fputs("usage: k6fleetctl [-s SOCKET] [--json] [--no-color] VERB ...\n"
	      "\n"
	      "Controls k6fleetd on this host.\n"
	      "\n"
	      "  -s, --socket SOCKET  control socket (default $K6FLEET_SOCKET or " DEFAULT_SOCKET
	      ")\n"
	      "      --json           print one line of JSON\n"
	      "      --no-color       no colours (also: NO_COLOR in the environment)\n"
	      "      --version        print the version of k6fleetctl and exit\n"
	      "  -h, --help           print this and exit\n"
	      "\n"
	      "Verbs:\n",
		out);
	ctl_help_verbs(out, ctl_verbs, ctl_verbs_count);
	fputs("\nExit: 0 done, 1 refused or failed, 2 wrong usage, 3 no daemon, 4 not allowed.\n",
		out);
}

/* Sets up ctl from the environment and the options before the verb.  Returns true if a verb is
 * to be run, whose place is in optind, else false and the exit status. */
static bool read_options(struct ctl *ctl, int argc, char **argv, enum ctl_exit *status)
{
	static const struct option longopts[] = {
		{"socket", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"no-color", no_argument, NULL, 'C'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	int c;

	render_measure(&ctl->screen);
	ctl->screen.color =
		ctl->screen.width && !(no_color && *no_color) && !(term && !strcmp(term, "dumb"));
	if (!ctl->client.socket || !*ctl->client.socket)
		ctl->client.socket = DEFAULT_SOCKET;
	*status = CTL_OK;
	/* "+" stops at the verb: the options behind it belong to it. */
	while ((c = getopt_long(argc, argv, "+s:h", longopts, NULL)) != -1) {
		switch (c) {
		case 's': ctl->client.socket = optarg; break;
		case 'j': ctl->json = true; break;
		case 'C': ctl->screen.color = false; break;
		case 'V': printf("k6fleetctl %s\n", PACKAGE_VERSION); return false;
		case 'h': usage(stdout); return false;
		default:
			fputs("Try 'k6fleetctl --help'.\n", stderr);
			*status = CTL_USAGE;
			return false;
		}
	}
	if (optind < argc)
		return true;
	usage(stderr);
	*status = CTL_USAGE;
	return false;
}

int main(int argc, char **argv)
{
	struct ctl ctl = {.client = {.socket = getenv("K6FLEET_SOCKET"), .fd = -1}};
	enum ctl_exit status;
	int verb;

	if (!read_options(&ctl, argc, argv, &status))
		return (int)status;
	verb = optind;
	status = !strcmp(argv[verb], "__complete")
		? ctl_complete(&ctl, argc - verb - 1, argv + verb + 1)
		: ctl_verbs_run(&ctl, argc - verb, argv + verb);
	/* Output that a full disk refused must not look like success. */
	if (fflush(stdout) != 0 && status == CTL_OK) {
		perror("k6fleetctl: cannot write the response");
		status = CTL_FAILED;
	}
	ctl_client_close(&ctl.client);
	return (int)status;
}
