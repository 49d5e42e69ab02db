/* SPDX-License-Identifier: MIT */
/* Loops of jansson and lists of <sys/queue.h> for cppcheck, which reads no headers of the
 * system. */
#define json_array_foreach(array, index, value) \
	for ((index) = 0; ((value) = json_array_get((array), (index))) != 0; (index)++)
#define json_object_foreach(object, key, value) \
	for ((key) = first_key(object); ((value) = json_object_get((object), (key))) != 0; \
		(key) = next_key(object))
#define LIST_HEAD(name, type) \
	struct name { \
		struct type *lh_first; \
	}
#define LIST_ENTRY(type) \
	struct { \
		struct type *le_next, **le_prev; \
	}
#define LIST_FOREACH(var, head, field) \
	for ((var) = (head)->lh_first; (var); (var) = (var)->field.le_next)
#define LIST_EMPTY(head) (!(head)->lh_first)
#define LIST_REMOVE(elm, field) (*(elm)->field.le_prev = (elm)->field.le_next)
#define LIST_INSERT_HEAD(head, elm, field) \
	((elm)->field.le_next = (head)->lh_first, (head)->lh_first = (elm))
