/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap_join - a filter at the place where frames come in (tc-bpf(8) "clsact", tc-matchall(8), tc-mirred(8))
 *
 * matchall says what is meant. A kernel that lacks it may have u32, which matches everything just as well when none of
 * the bits that it looks at count. Both, and mirred, are modules of Debian's cloud kernels and loaded on demand.
 */
#include "namespaces/tap_join.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <string.h>

enum { PREFERENCE = 0x6268 }; /* our filter is known by it, and after those of others */

static struct tcmsg *begin(struct netlink_request *req, uint16_t type, uint16_t flags, int index)
{
	struct tcmsg *msg = netlink_begin(req, type, flags, sizeof(*msg));

	msg->tcm_ifindex = index;
	return msg;
}

static int add_clsact(struct netlink *nl, int index)
{
	struct netlink_request req;
	struct tcmsg *msg = begin(&req, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, index);

	msg->tcm_parent = TC_H_CLSACT;
	msg->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	netlink_put_text(&req, TCA_KIND, "clsact");

	int r = netlink_run(nl, &req, NULL, NULL);

	return r == -EEXIST ? 0 : r; /* the older "ingress" has the same place for filters */
}

static void at_ingress(struct tcmsg *msg)
{
	msg->tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
	msg->tcm_info = TC_H_MAKE((uint32_t)PREFERENCE << 16, htons(ETH_P_ALL));
}

/* The list of actions, of which there is one. */
static void put_redirect(struct netlink_request *req, uint16_t type, int to)
{
	struct tc_mirred mirred = { .action = TC_ACT_STOLEN,
				    .eaction = TCA_EGRESS_REDIR,
				    .ifindex = (uint32_t)to };
	size_t list = netlink_nest(req, type);
	size_t action = netlink_nest(req, 1);

	netlink_put_text(req, TCA_ACT_KIND, "mirred");

	size_t options = netlink_nest(req, TCA_ACT_OPTIONS);

	netlink_put(req, TCA_MIRRED_PARMS, &mirred, sizeof(mirred));
	netlink_nest_end(req, options);
	netlink_nest_end(req, action);
	netlink_nest_end(req, list);
}

static int add_matchall(struct netlink *nl, int from, int to)
{
	struct netlink_request req;

	at_ingress(begin(&req, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, from));
	netlink_put_text(&req, TCA_KIND, "matchall");

	size_t options = netlink_nest(&req, TCA_OPTIONS);

	put_redirect(&req, TCA_MATCHALL_ACT, to);
	netlink_nest_end(&req, options);
	return netlink_run(nl, &req, NULL, NULL);
}

static int add_u32(struct netlink *nl, int from, int to)
{
	/* One key: the bits of an empty mask. */
	struct {
		struct tc_u32_sel sel;
		struct tc_u32_key key;
	} match = { .sel = { .flags = TC_U32_TERMINAL, .nkeys = 1 } };
	struct netlink_request req;

	at_ingress(begin(&req, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, from));
	netlink_put_text(&req, TCA_KIND, "u32");

	size_t options = netlink_nest(&req, TCA_OPTIONS);

	netlink_put(&req, TCA_U32_SEL, &match, sizeof(match));
	put_redirect(&req, TCA_U32_ACT, to);
	netlink_nest_end(&req, options);
	return netlink_run(nl, &req, NULL, NULL);
}

int ns_redirect_end(struct netlink *nl, int from)
{
	struct netlink_request req;

	at_ingress(begin(&req, RTM_DELTFILTER, 0, from));
	return netlink_run(nl, &req, NULL, NULL);
}

int ns_redirect(struct netlink *nl, int from, int to, const char *name, struct error *err)
{
	int r = add_clsact(nl, from);

	if (r < 0) {
		error_set(err, -r, "add queueing discipline clsact to network interface %s%s%s",
			  name, nl->why[0] ? ": " : "", nl->why);
		if (r == -ENOENT || r == -EOPNOTSUPP)
			error_hint(err, "the kernel needs the module sch_ingress");
		return r;
	}

	/* One that an earlier guest left behind leads nowhere by now. */
	(void)ns_redirect_end(nl, from);
	r = add_matchall(nl, from, to);
	if (r == -ENOENT)
		r = add_u32(nl, from, to);
	if (r < 0) {
		error_set(err, -r,
			  "add a filter that redirects all frames to network interface %s%s%s",
			  name, nl->why[0] ? ": " : "", nl->why);
		if (r == -ENOENT)
			error_hint(err,
				   "the kernel needs the modules cls_matchall (or cls_u32) and "
				   "act_mirred");
	}
	return r;
}
