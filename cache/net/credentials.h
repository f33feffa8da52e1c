/* credentials.h - the user's login for a registry, out of the files that podman, skopeo and docker keep.
 * Source: containers-auth.json(5), docs.docker.com/reference/cli/docker/login. */
#ifndef LARDER_CREDENTIALS_H
#define LARDER_CREDENTIALS_H

#include "cache/net/reference.h"

#define CREDENTIALS_FILE_MAX_BYTES (UINT32_C(1) << 20)
#define CREDENTIALS_FILES                                                                      \
	"$REGISTRY_AUTH_FILE, $XDG_RUNTIME_DIR/containers/auth.json, "                         \
	"$DOCKER_CONFIG/config.json and ~/.docker/config.json"

/* Looks through CREDENTIALS_FILES, in this order, for the repository and then for its host.
 * *out_basic: base64 of USER:PASSWORD, for credentials_free(). ERR_MISSING: none; the text says where it was
 * looked for. ERR_INVALID: none, and a file cannot be read, or leaves this host to a credential helper, which
 * is not asked. No byte of a login is ever in the text. */
MUST_USE int credentials_find(const struct reference *reference, char **out_basic,
			      struct err *err);

/* Wipes a secret text, then frees it. */
void credentials_free(char **secret);

#endif
