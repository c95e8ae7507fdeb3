/* SPDX-License-Identifier: Apache-2.0 */
/* Host and domain name of the container's uts namespace. */
#include "namespaces/apply.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int ns_set_names(const struct ns_plan *plan, struct error *err)
{
	const char *host = plan->spec->hostname, *domain = plan->spec->domainname;

	if (host && sethostname(host, strlen(host)) < 0) {
		int r = error_set(err, errno, "set the host name \"%s\"", host);

		error_at(err, "/hostname");
		return r;
	}
	if (domain && setdomainname(domain, strlen(domain)) < 0) {
		int r = error_set(err, errno, "set the domain name \"%s\"", domain);

		error_at(err, "/domainname");
		return r;
	}
	return 0;
}
