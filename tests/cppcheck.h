/* SPDX-License-Identifier: MIT */
/* jansson's loops for cppcheck, which does not read jansson's headers. */
#define json_array_foreach(array, index, value) \
	for ((index) = 0; ((value) = json_array_get((array), (index))) != 0; (index)++)
#define json_object_foreach(object, key, value) \
	for ((key) = first_key(object); ((value) = json_object_get((object), (key))) != 0; \
		(key) = next_key(object))
