// SPDX-License-Identifier: MIT
// A script that needs no network, for a first run: k6fleetctl run --script hello.js --follow
import { check, sleep } from 'k6';

export const options = { vus: 2, duration: '5s' };

export default function () {
	check(6 * 7, { 'the answer is known': (n) => n === 42 });
	sleep(0.2);
}
