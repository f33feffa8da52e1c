/* registry_ask.h - between the files of the registry client: a request that may need a login, or patience. */
#ifndef LARDER_REGISTRY_ASK_H
#define LARDER_REGISTRY_ASK_H

#include "cache/net/http.h"
#include "cache/net/registry.h"

struct registry {
	struct reference reference;
	struct registry_options options;
	struct log *log; /* borrowed */
	struct http *http;
	char *folder; /* "https://HOST/PATH": no registry, but a cache's folder on the web; or NULL */
	char *origin; /* "https://HOST"; "" where folder is set: it is told nothing */
	char *authorization; /* secret; NULL: none was asked for yet */
	char *mount_from; /* a repository that the token has to cover, too; or NULL */
	struct err no_login; /* why none was used */
};

/* "https://HOST/v2/NAME/KIND/WHAT"; of a folder where the digest WHAT lies. The caller frees. */
char *registry_url(const struct registry *registry, const char *kind, const char *what);

/* Gets the authorization that a challenge (WWW-Authenticate; NULL: there was none) of the registry itself asks for. */
MUST_USE int registry_log_in(struct registry *registry, const char *challenge, struct err *err);

/* Asks once, with a login where the registry itself wants one. An answer other than 401 is no failure. */
MUST_USE int registry_ask(struct registry *registry, const struct http_request *request,
			  struct http_answer *out_answer, struct err *err);

/* As http_again; false, too, where the deadline would pass meanwhile, or this process is told to end. */
bool registry_again(const struct registry *registry, unsigned *failures, const struct err *err,
		    uint64_t retry_after_ms);

/* As registry_ask, several times if need be; the answer has a status from 200 to 299. */
MUST_USE int registry_ask_good(struct registry *registry, const struct http_request *request,
			       struct http_answer *out_answer, struct err *err);

/* HEAD of a blob or a manifest, as registry_has_blob; a failure does not name it. */
enum registry_thing { REGISTRY_BLOB, REGISTRY_MANIFEST };
MUST_USE int registry_look(struct registry *registry, enum registry_thing thing,
			   const struct digest *digest, uint64_t *out_size, struct err *err);

/* The repository another token has to cover; or NULL. */
void registry_cover(struct registry *registry, const char *mount_from);

/* ERR_DAMAGED: the answer names another digest. One without any is no failure. */
MUST_USE int registry_check_digest(const struct http_answer *answer,
				   const struct digest *digest, struct err *err);

void registry_progress(const struct registry *registry, uint64_t done);

/* Puts the name of the repository in front of a failure. Returns result. */
int registry_named(const struct registry *registry, int result, struct err *err);

#endif
