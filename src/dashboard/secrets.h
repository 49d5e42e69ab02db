/* SPDX-License-Identifier: MIT */
/* The dashboard's two secrets and its TLS files.  For the start only: each function ends the
 * process with 1 when it cannot do its work. */
#ifndef K6FLEET_DASHBOARD_SECRETS_H
#define K6FLEET_DASHBOARD_SECRETS_H

/* Makes DIR/dashboard-secret and DIR/admin-auth (0600), 256 random bits each; a file that exists
 * stays as it is. Prints a line each. */
void secrets_make(const char *dir);
/* Returns a secret from the environment, a file, or a credential of the service manager
 * (systemd.exec(5), "Credentials"), which the caller wipes and frees.  The environment's copy is
 * overwritten.  file is "" when the option is not set; file_name is the name that secrets_make()
 * and the service manager use. */
char *secrets_take(
	const char *env_name, const char *file, const char *option, const char *file_name);
/* Returns the PEM text of a file, which the caller wipes and frees. */
char *secrets_read_pem(const char *path, const char *option);

#endif
