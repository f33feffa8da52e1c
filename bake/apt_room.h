/* apt_room.h - a folder in which apt is the target's, and nothing of this host's configuration is read. */
#ifndef LARDER_APT_ROOM_H
#define LARDER_APT_ROOM_H

#include "bake/resolve.h"

#define APT_ROOM_CONFIG "apt.conf" /* for APT_CONFIG */
#define APT_ROOM_LISTS "lists"
#define APT_ROOM_SOURCES "etc/sources.list.d"
#define APT_ROOM_INSIDE "inside.list" /* there: the repository in a file */

MUST_USE int apt_room_make(const struct resolve_request *request, struct err *err);

#endif
