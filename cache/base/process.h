/* process.h - this process itself: what it got from whoever started it, and when it has to end. */
#ifndef LARDER_PROCESS_H
#define LARDER_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/base/err.h"

/* Is it built with AddressSanitizer, which takes more memory than any limit allows? */
#if defined(__SANITIZE_ADDRESS__)
#define PROCESS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PROCESS_SANITIZED 1
#endif
#endif
#ifndef PROCESS_SANITIZED
#define PROCESS_SANITIZED 0
#endif

/* First of all in every main(): /dev/null where 0, 1 or 2 is closed, so that no folder or file that is
 * opened later is taken for a standard stream. */
void process_open_streams(void);

/* For a static program: names of hosts and users are looked up in /etc and DNS, whatever modules nsswitch.conf names. */
void process_pin_lookups(void);

/* The program of this name that belongs to ours: beside it, as in a build folder, or in ../libexec/larder, as it is
 * installed; found in neither, what PROCESS_INSTALLED has. The caller frees. */
#define PROCESS_INSTALLED "/usr/libexec/larder"
char *process_beside(const char *name);

/* Runs work in a process of its own and waits for it: what it had in memory, a private key for one, never comes here;
 * only its result and its error do. ERR_SYSTEM, too: it could not be started, or died. */
MUST_USE int process_aside(int (*work)(void *context, struct err *err), void *context,
			   struct err *err);

/* Holds SIGTERM back: from here on it only answers process_is_ending, and the process ends itself. */
void process_hold_sigterm(void);

/* Was SIGTERM sent since it is held back? */
bool process_is_ending(void);

/* How many threads this process may run at once, by its affinity; at most so many. */
unsigned process_cores(unsigned most);

/* Is it time to stop: asked to, or behind the deadline (since boot, as fs_boot_ms; 0 for none)? */
bool process_must_stop(uint64_t deadline_ms);

#endif
