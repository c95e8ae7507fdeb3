/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/systemd/internal.h"

/*
 * org.systemd.property.NAME: properties of the unit by annotation. Annotations are
 * often written by whoever may start a container, who is not whoever owns the host. So the
 * question for each name is what such a person would gain, and only those are taken of which
 * the answer is nothing:
 *
 *	After                  order alone; what is not being started anyway is not started by it
 *	CollectMode            how soon systemd forgets the unit
 *	DefaultDependencies    stop at shutdown with everything else
 *	KillSignal, SendSIGHUP what its own processes get first when the unit is stopped
 *	RuntimeMaxUSec         an end of its own
 *	TimeoutStopUSec        how long they have then; at most an hour, or a reboot would wait as long
 *	MemoryHigh, MemoryMax, MemorySwapMax, CPUQuotaPerSecUSec
 *	                       less for itself, and only where linux.resources sets no such limit
 *
 * Left out on purpose: all that starts or stops other units (Wants, Requires, BindsTo, Conflicts,
 * OnFailure, …), acts on the host (SuccessAction, FailureAction, …), executes (Exec…), takes in
 * processes (PIDs), opens devices, network or other places (DeviceAllow, IPAddressAllow, Delegate, Slice), takes
 * from neighbours (CPUWeight, IOWeight, MemoryMin, MemoryLow, ManagedOOMPreference), outlives its
 * end (KillMode, SendSIGKILL), or makes another unit wait for this one (Before).
 */

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "spec/base/auto.h"

#define KEY_PREFIX  "org.systemd.property."
#define NAME_MIN    3
#define SECOND_US   UINT64_C(1000000)
#define HOUR_US     (3600 * SECOND_US)
#define SIGNAL_MAX  64
#define LIMIT       true

static const struct allowed {
	const char *name, *type;
	uint64_t min, max;   /* of a number */
	bool is_limit;       /* not where the config has one already */
	const char *words;   /* of a string, one blank after each */
} table[] = {
	{ "After", "as", 0, 0, false, NULL },
	{ "CPUQuotaPerSecUSec", "t", 1000, UINT64_MAX, LIMIT, NULL },
	{ "CollectMode", "s", 0, 0, false, "inactive inactive-or-failed " },
	{ "DefaultDependencies", "b", 0, 1, false, NULL },
	{ "KillSignal", "i", 1, SIGNAL_MAX, false, NULL },
	{ "MemoryHigh", "t", 0, UINT64_MAX, LIMIT, NULL },
	{ "MemoryMax", "t", 0, UINT64_MAX, LIMIT, NULL },
	{ "MemorySwapMax", "t", 0, UINT64_MAX, LIMIT, NULL },
	{ "RuntimeMaxUSec", "t", 0, UINT64_MAX, false, NULL },
	{ "SendSIGHUP", "b", 0, 1, false, NULL },
	{ "TimeoutStopUSec", "t", 0, HOUR_US, false, NULL },
};

static const struct allowed *find(const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (strlen(table[i].name) == n && memcmp(table[i].name, name, n) == 0)
			return &table[i];
	return NULL;
}

static int refuse_name(const char *key, struct error *err)
{
	int r = error_rule(err, EPERM, "annotation %.100s: the property may not be set by annotation", key);

	error_hint(err, "After, CollectMode, CPUQuotaPerSecUSec, DefaultDependencies, KillSignal, MemoryHigh, MemoryMax, "
			"MemorySwapMax, RuntimeMaxUSec, SendSIGHUP and TimeoutStopUSec may");
	return r;
}

/* "TimeoutStopSec" is what a unit file has; the bus has microseconds. */
static const struct allowed *find_property(const char *name, bool *ret_seconds)
{
	char usec[64];
	size_t n = strlen(name);

	*ret_seconds = n > 3 && strcmp(name + n - 3, "Sec") == 0 && (n < 4 || strcmp(name + n - 4, "USec") != 0);
	if (!*ret_seconds)
		return find(name, n);
	if ((size_t)snprintf(usec, sizeof(usec), "%.*sUSec", (int)(n - 3), name) >= sizeof(usec))
		return NULL;
	return find(usec, strlen(usec));
}

static int is_wrong(const struct allowed *p, const char *key, struct error *err)
{
	static const struct {
		const char *type, *what;
	} words[] = { { "b", "true or false" },
		      { "s", "a string such as 'inactive'" },
		      { "as", "an array of unit names such as ['a.service']" },
		      { "i", "a number such as 15" },
		      { "t", "a number such as uint64 30000000" } };
	const char *what = "";

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i].type, p->type) == 0)
			what = words[i].what;
	return error_rule(err, EINVAL, "annotation %.100s: the value must be %s", key, what);
}

static int check_units(const struct gvalue *v, const char *key, struct error *err)
{
	for (size_t i = 0; i < v->n; i++) {
		const char *dot = strrchr(v->list[i], '.');

		/* '@' and ':' are fine in the name of another unit. */
		if (!dot || dot == v->list[i] || strlen(v->list[i]) > 255 ||
		    strspn(v->list[i], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@") !=
			    strlen(v->list[i]))
			return error_rule(err, EINVAL, "annotation %.100s: \"%.100s\" is not the name of a unit", key,
					  v->list[i]);
	}
	return 0;
}

/* v as microseconds. */
static int to_usec(struct gvalue *v)
{
	if (v->is_negative)
		return -ERANGE;
	if (v->type[0] == 'd') {
		if (v->real > 1e12)
			return -ERANGE;
		v->number = (uint64_t)(v->real * (double)SECOND_US);
	} else if (v->number > UINT64_MAX / SECOND_US) {
		return -ERANGE;
	} else {
		v->number *= SECOND_US;
	}
	memcpy(v->type, "t", 2);
	return 0;
}

static int check_number(const struct allowed *p, const struct gvalue *v, const char *key, struct error *err)
{
	if (!v->is_negative && v->number >= p->min && v->number <= p->max)
		return 0;
	return error_rule(err, EINVAL, "annotation %.100s: %s%llu is not within %llu to %llu", key,
			  v->is_negative ? "-" : "", (unsigned long long)v->number, (unsigned long long)p->min,
			  (unsigned long long)p->max);
}

static int check_word(const struct allowed *p, const struct gvalue *v, const char *key, struct error *err)
{
	size_t n = strlen(v->text);

	for (const char *word = p->words; *word; word += strcspn(word, " ") + 1)
		if (strcspn(word, " ") == n && memcmp(word, v->text, n) == 0)
			return 0;
	return error_rule(err, EINVAL, "annotation %.100s: \"%.100s\" is none of: %s", key, v->text, p->words);
}

static int check_value(const struct allowed *p, struct gvalue *v, bool seconds, const char *key,
		       struct error *err)
{
	bool is_number = strlen(v->type) == 1 && strchr("ynqiuxtd", v->type[0]);

	if (seconds && is_number && to_usec(v) < 0)
		return error_rule(err, EINVAL, "annotation %.100s: so many seconds there are not", key);
	if (p->type[0] == 't' || p->type[0] == 'i') {
		/* A number without a type takes that of the property; one with a type must have it. */
		if (!is_number || v->type[0] == 'd' || (v->has_type && !seconds && v->type[0] != p->type[0]))
			return is_wrong(p, key, err);
		return check_number(p, v, key, err);
	}
	if (strcmp(p->type, v->type) != 0)
		return is_wrong(p, key, err);
	if (p->type[0] == 'a')
		return check_units(v, key, err);
	return p->words ? check_word(p, v, key, err) : 0;
}

static int take(struct unit_plan *plan, const struct spec_key_value *kv, struct error *err)
{
	const char *name = kv->key + strlen(KEY_PREFIX);
	size_t n = strlen(name);
	struct gvalue v;
	bool seconds;

	for (size_t i = 0; i < n; i++)
		if (!isascii((unsigned char)name[i]) || !isalpha((unsigned char)name[i]))
			n = 0;
	if (n < NAME_MIN)
		return error_rule(err, EINVAL, "annotation %.100s does not end in the name of a property (at least %d "
				  "letters)", kv->key, NAME_MIN);

	const struct allowed *p = find_property(name, &seconds);

	if (!p)
		return refuse_name(kv->key, err);
	if (p->is_limit && unit_plan_find(plan, p->name))
		return error_rule(err, EPERM, "annotation %.100s: linux.resources has set that limit already", kv->key);

	int r = gvariant_parse(kv->value, plan->arena, &v, err);

	if (r < 0)
		return error_wrap(err, r, "cannot read the value of annotation %.100s", kv->key);
	r = check_value(p, &v, seconds, kv->key, err);
	if (r < 0)
		return r;
	unit_plan_put(plan, (struct unit_property){
		.name = p->name, .type = p->type, .number = v.number, .text = v.text, .list = v.list, .n = v.n,
		.pointer = arena_printf(plan->arena, "/annotations/%s", kv->key) });
	return 0;
}

int unit_plan_annotations(struct unit_plan *plan, const struct spec_key_value *annotations, size_t n,
			  struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (strncmp(annotations[i].key, KEY_PREFIX, strlen(KEY_PREFIX)) != 0)
			continue;

		int r = take(plan, &annotations[i], err);

		if (r < 0) {
			error_at(err, "/annotations/%s", annotations[i].key);
			return r;
		}
	}
	return 0;
}
