/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See inodes.h. Open addressing, at most three quarters full.
 */
#include "overlay/inodes.h"

#include <stdlib.h>

#include "spec/base/oom.h"

/* Inode numbers of one directory follow each other: multiplying spreads them (Knuth, TAOCP 3, 6.4). */
static size_t slot_of(const struct inodes *set, uint64_t number)
{
	return (size_t)((number * 0x9e3779b97f4a7c15u) >> 20) & (set->cap - 1);
}

struct inode *inodes_find(const struct inodes *set, uint64_t number)
{
	if (!set->cap)
		return NULL;
	for (size_t i = slot_of(set, number);; i = (i + 1) & (set->cap - 1)) {
		if (!set->slots[i].number)
			return NULL;
		if (set->slots[i].number == number)
			return &set->slots[i];
	}
}

static struct inode *insert(struct inodes *set, const struct inode *inode)
{
	size_t i = slot_of(set, inode->number);

	while (set->slots[i].number)
		i = (i + 1) & (set->cap - 1);
	set->slots[i] = *inode;
	set->n++;
	return &set->slots[i];
}

static void grow(struct inodes *set)
{
	struct inodes more = { .cap = set->cap ? set->cap * 2 : 1024 };

	more.slots = calloc(more.cap, sizeof(*more.slots));
	if (!more.slots)
		oom_die();
	for (size_t i = 0; i < set->cap; i++)
		if (set->slots[i].number)
			insert(&more, &set->slots[i]);
	free(set->slots);
	*set = more;
}

struct inode *inodes_get(struct inodes *set, uint64_t number)
{
	struct inode *found = inodes_find(set, number);

	if (found)
		return found;
	if (set->n * 4 >= set->cap * 3)
		grow(set);
	return insert(set, &(struct inode){ .number = number });
}

void inodes_release(struct inodes *set)
{
	free(set->slots);
	*set = (struct inodes){ 0 };
}
