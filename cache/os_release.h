/* os_release.h - which OS an installed system says it is. */
#ifndef LARDER_OS_RELEASE_H
#define LARDER_OS_RELEASE_H

#include "cache/facts.h"

#define OS_RELEASE_MAX_BYTES 65536

/* ID, VERSION_ID and ID_LIKE of an os-release text; quotes as in a shell. A value that is no plain name: "".
 * Oracle Linux is like RHEL, which it does not say. Source: man 5 os-release. */
void os_release_parse(char *text, struct facts *facts);

/* A release file of the Red Hat family says more than its VERSION_ID: "CentOS Linux release 7.8.2003 (Core)" makes 7.8.2003
 * of 7. What does not go on from the version that is known is not taken. */
void os_release_refine(const char *release, struct facts *facts);

/* What a well-known OS has as its ID_LIKE, for a machine of which nothing but its id is known; else "". */
const char *os_release_like(const char *os_id);

#endif
