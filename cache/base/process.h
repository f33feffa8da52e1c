/* process.h - this process itself: what it got from whoever started it, and when it has to end. */
#ifndef LARDER_PROCESS_H
#define LARDER_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/* First of all in every main(): /dev/null where 0, 1 or 2 is closed, so that no folder or file that is
 * opened later is taken for a standard stream. */
void process_open_streams(void);

/* The file of this name beside our own program, as in a build folder, else installed, which says where it lies once
 * it is installed. The caller frees. */
char *process_beside(const char *name, const char *installed);

/* Holds SIGTERM back: from here on it only answers process_is_ending, and the process ends itself. */
void process_hold_sigterm(void);

/* Was SIGTERM sent since it is held back? */
bool process_is_ending(void);

/* Is it time to stop: asked to, or behind the deadline (since boot, as fs_boot_ms; 0 for none)? */
bool process_must_stop(uint64_t deadline_ms);

#endif
