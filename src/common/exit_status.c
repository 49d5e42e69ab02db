/* SPDX-License-Identifier: MIT */
#include "common/exit_status.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

const char *exit_status_text(int wait_status, char buf[EXIT_STATUS_TEXT_MAX])
{
	if (WIFSIGNALED(wait_status))
		snprintf(buf, EXIT_STATUS_TEXT_MAX, "signal %d (%s)", WTERMSIG(wait_status),
			strsignal(WTERMSIG(wait_status)));
	else
		snprintf(buf, EXIT_STATUS_TEXT_MAX, "exit status %d", WEXITSTATUS(wait_status));
	return buf;
}
