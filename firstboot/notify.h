/* notify.h - what systemd is told of a run while it works: sd_notify(3), by one datagram to a local socket. */
#ifndef LARDER_NOTIFY_H
#define LARDER_NOTIFY_H

#include <stdint.h>

/* One line that says what it is at, and until when it may take (since boot, as fs_boot_ms): systemd waits so long and
 * NOTIFY_GRACE_MS more, if its unit would have it wait less. Without $NOTIFY_SOCKET nothing happens, and no socket is
 * opened. What systemd does not take is lost: nobody waits for it. */
#define NOTIFY_GRACE_MS 20000
void notify_status(const char *text, uint64_t until_ms);

/* The run is over. */
void notify_ready(const char *text);

#endif
