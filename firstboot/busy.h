/* busy.h - what a device is needed for right now, so that its driver has to stay on it; from /sys and /proc alone. */
#ifndef LARDER_BUSY_H
#define LARDER_BUSY_H

#include "firstboot/machine.h"

#define BUSY_TEXT_MAX 256

/* Is the device needed: is a network interface of it up with an address or a route, or part of another interface, or in another
 * namespace; is a mounted disk behind it; is one of its RDMA devices open; has it virtual functions, or a driver that
 * somebody chose for it? Then text says what for. What cannot be told counts as needed. */
bool busy_device(const struct machine *machine, const char *bus, const char *address,
		 char text[BUSY_TEXT_MAX]);

#endif
