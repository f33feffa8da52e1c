#include "cache/net/registry_ask.h"

#include <string.h>

#include "cache/base/fs.h"
#include "cache/base/process.h"
#include "cache/net/location.h"
#include "cache/net/login.h"

int registry_open(const struct reference *reference, const struct registry_options *options,
		  struct log *log, struct registry **out_registry, struct err *err)
{
	struct registry *registry;
	bool plain = (options && options->plain_http) || reference_is_loopback(reference->host);

	if (!reference_is_name(reference->name))
		return err_set(err, ERR_INVALID, "bad repository name");
	registry = must_calloc(1, sizeof(*registry));
	registry->reference = *reference;
	if (options)
		registry->options = *options;
	registry->log = log;
	registry->http = http_new(registry->options.way);
	registry->origin =
		must_printf("http%s://%s", plain ? "" : "s", registry->reference.host);
	*out_registry = registry;
	return 0;
}

static int open_folder(const char *name, const struct registry_options *options,
		       struct log *log, struct registry **out_registry, struct err *err)
{
	const char *fault = url_fault(name, URL_OF_SOURCE);
	size_t length = strlen(name);
	struct registry *registry;

	if (fault)
		return err_set(err, ERR_INVALID, "%s", fault);
	while (name[length - 1] == '/')
		length--;
	registry = must_calloc(1, sizeof(*registry));
	if (options)
		registry->options = *options;
	registry->log = log;
	registry->http = http_new(registry->options.way);
	registry->folder = must_printf("%.*s", (int)length, name);
	registry->origin = must_strdup("");
	*out_registry = registry;
	return 0;
}

int registry_open_source(const char *name, const struct registry_options *options,
			 struct log *log, struct registry **out_registry, struct err *err)
{
	struct reference reference;

	if (strncmp(name, "oci://", strlen("oci://")) != 0)
		return open_folder(name, options, log, out_registry, err);
	if (reference_parse(name, &reference, err) < 0)
		return err_wrap(err, "%s", name);
	return registry_open(&reference, options, log, out_registry, err);
}

void registry_close(struct registry **registry)
{
	if (!*registry)
		return;
	credentials_free(&(*registry)->authorization);
	http_free(&(*registry)->http);
	free((*registry)->folder);
	free((*registry)->origin);
	free((*registry)->mount_from);
	free(*registry);
	*registry = NULL;
}

char *registry_url(const struct registry *registry, const char *kind, const char *what)
{
	if (registry->folder)
		return must_printf("%s/blobs/sha256/%s", registry->folder,
				   strncmp(what, "sha256:", 7) == 0 ? what + 7 : what);
	return must_printf("%s/v2/%s/%s/%s", registry->origin, registry->reference.name, kind,
			   what);
}

bool registry_is_folder(const struct registry *registry)
{
	return registry->folder != NULL;
}

uint64_t registry_fetched(const struct registry *registry)
{
	return http_fetched(registry->http);
}

void registry_progress(const struct registry *registry, uint64_t done)
{
	if (registry->options.progress)
		registry->options.progress(registry->options.context, done);
}

int registry_named(const struct registry *registry, int result, struct err *err)
{
	if (result < 0 && registry->folder)
		err_wrap(err, "%s", registry->folder);
	else if (result < 0)
		err_wrap(err, "oci://%s/%s", registry->reference.host,
			 registry->reference.name);
	return result;
}

int registry_check_digest(const struct http_answer *answer, const struct digest *digest,
			  struct err *err)
{
	const char *told = answer->header[HTTP_DIGEST];
	char own[DIGEST_TEXT_MAX];

	/* One of another kind says nothing about ours. */
	if (!told || strncmp(told, "sha256:", 7) != 0 ||
	    strcmp(told, digest_text(digest, own)) == 0)
		return 0;
	return err_set(err, ERR_DAMAGED, "the registry says %.80s, and the bytes are %s", told,
		       own);
}

void registry_cover(struct registry *registry, const char *mount_from)
{
	const char *old = registry->mount_from;

	if (!mount_from || (old && strcmp(old, mount_from) == 0))
		return;
	free(registry->mount_from);
	registry->mount_from = must_strdup(mount_from);
	/* A login is good for every repository; a token is not. */
	if (registry->authorization && strncmp(registry->authorization, "Bearer ", 7) == 0)
		credentials_free(&registry->authorization);
}

int registry_log_in(struct registry *registry, const char *challenge, struct err *err)
{
	AUTO_FREE char *own = must_printf("repository:%s:%s", registry->reference.name,
					  registry->options.writes ? "pull,push" : "pull");
	AUTO_FREE char *other =
		registry->mount_from ? must_printf("repository:%s:pull", registry->mount_from)
				     : NULL;
	const struct login login = {
		.reference = &registry->reference,
		.registry = registry->origin,
		.scopes = { own, other },
		.anonymous = registry->options.anonymous,
		.stall_seconds = registry->options.stall_seconds,
	};

	if (!challenge)
		return err_set(err, ERR_INVALID, "wants a login, and does not say which kind");
	credentials_free(&registry->authorization);
	if (login_answer(&login, challenge, registry->http, &registry->authorization,
			 &registry->no_login, err) == 0)
		return 0;
	if (err->kind == ERR_MISSING)
		err->kind = ERR_INVALID; /* a login, not a blob */
	return err_wrap(err, "login");
}

/* The registry said no, even to the best that we have. */
static int denied(const struct registry *registry, const struct http_answer *answer,
		  struct err *err)
{
	struct err status = { 0 };

	if (registry->no_login.kind != ERR_NONE)
		*err = registry->no_login;
	else if (registry->authorization)
		err_set(err, ERR_INVALID, "the login is not accepted, or may not do this");
	else
		err_set(err, ERR_INVALID, "not allowed without a login");
	err->kind = ERR_INVALID;
	http_fault(answer, &status);
	return err_wrap(err, "%.200s", status.text);
}

static int ask_with(struct registry *registry, const struct http_request *request,
		    struct http_answer *out_answer, struct err *err)
{
	struct http_request with = *request;

	with.stall_seconds = request->stall_seconds ? request->stall_seconds
						    : registry->options.stall_seconds;
	if (location_same_origin(request->url, registry->origin))
		with.authorization = registry->authorization;
	return http_ask(registry->http, &with, out_answer, err);
}

int registry_ask(struct registry *registry, const struct http_request *request,
		 struct http_answer *out_answer, struct err *err)
{
	AUTO_ANSWER struct http_answer answer = { 0 };

	if (ask_with(registry, request, &answer, err) < 0)
		return -1;
	if (answer.status == 401 && location_same_origin(answer.url, registry->origin)) {
		int result = registry_log_in(registry, answer.header[HTTP_CHALLENGE], err);

		http_answer_free(&answer);
		if (result < 0)
			return -1;
		if (ask_with(registry, request, &answer, err) < 0)
			return -1;
	}
	if (answer.status == 401 || answer.status == 403)
		return denied(registry, &answer, err);
	*out_answer = answer;
	answer = (struct http_answer) { 0 };
	return 0;
}

bool registry_again(const struct registry *registry, unsigned *failures, const struct err *err,
		    uint64_t retry_after_ms)
{
	const struct http_way *way = registry->options.way;
	uint64_t deadline_ms = way ? way->deadline_ms : 0;

	if (process_must_stop(deadline_ms) ||
	    (deadline_ms && fs_boot_ms() + retry_after_ms >= deadline_ms))
		return false;
	return http_again(failures, err, retry_after_ms, registry->log);
}

int registry_ask_good(struct registry *registry, const struct http_request *request,
		      struct http_answer *out_answer, struct err *err)
{
	unsigned failures = 0;

	for (;;) {
		AUTO_ANSWER struct http_answer answer = { 0 };

		if (registry_ask(registry, request, &answer, err) == 0) {
			if (answer.status >= 200 && answer.status < 300) {
				*out_answer = answer;
				answer = (struct http_answer) { 0 };
				return 0;
			}
			http_fault(&answer, err);
		}
		if (!registry_again(registry, &failures, err, answer.retry_after_ms))
			return -1;
	}
}
