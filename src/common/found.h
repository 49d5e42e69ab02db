/* SPDX-License-Identifier: MIT */
/*
 * The result of looking for one thing.  A function that returns it fills its output parameters
 * for FOUND only, and sets its struct err for FOUND_ERROR only.  An error is never taken for
 * "not there".
 */
#ifndef K6FLEET_FOUND_H
#define K6FLEET_FOUND_H

enum found { FOUND_ERROR = -1, NOT_FOUND = 0, FOUND = 1 };

#endif
