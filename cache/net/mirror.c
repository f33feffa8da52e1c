#include "cache/net/mirror.h"

#include <stdlib.h>

#include "cache/net/location.h"
#include "cache/net/registry_ask.h"

void mirror_close(struct mirror *mirror)
{
	registry_close(&mirror->registry);
	*mirror = (struct mirror) { 0 };
}

int mirror_open(const char *name, const struct mirror_options *options, struct mirror *out,
		struct err *err)
{
	const struct registry_options asked = {
		.plain_http = options->plain_http,
		.anonymous = !options->logins,
		.stall_seconds = options->stall_seconds,
		.way = options->way,
	};
	struct mirror mirror = { .name = name, .ranges = true };

	if (registry_open_source(name, &asked, options->log, &mirror.registry, err) < 0)
		return -1;
	*out = mirror;
	return 0;
}

char *mirror_url(const struct mirror *mirror, const struct digest *digest)
{
	char text[DIGEST_TEXT_MAX];

	return registry_url(mirror->registry, "blobs", digest_text(digest, text));
}

const char *mirror_authorization(const struct mirror *mirror, const char *url)
{
	if (!location_same_origin(url, mirror->registry->origin))
		return NULL;
	return mirror->registry->authorization;
}

int mirror_log_in(struct mirror *mirror, const char *challenge, unsigned login, struct err *err)
{
	if (mirror->registry->folder)
		return err_set(err, ERR_INVALID, "wants a login, and is told none");
	if (login != mirror->login)
		return 0; /* another request was told the same, and there is a new one */
	if (mirror->logins == MIRROR_LOGINS_MAX)
		return err_set(err, ERR_INVALID, "its own tokens are not accepted");
	if (registry_log_in(mirror->registry, challenge, err) < 0)
		return -1;
	mirror->logins++;
	mirror->login++;
	return 0;
}

static uint64_t pause_of(unsigned times)
{
	uint64_t pause = MIRROR_PAUSE_MS;

	for (unsigned i = 1; i < times && pause < MIRROR_PAUSE_MAX_MS; i++)
		pause *= 2;
	return pause < MIRROR_PAUSE_MAX_MS ? pause : MIRROR_PAUSE_MAX_MS;
}

static void wait_until(struct mirror *mirror, uint64_t when_ms)
{
	if (mirror->not_before_ms < when_ms)
		mirror->not_before_ms = when_ms;
}

void mirror_failed(struct mirror *mirror, const struct mirror_try *end, const struct err *err)
{
	mirror->reached |= end->reached;
	wait_until(mirror, end->now_ms + end->retry_after_ms);
	if (end->stalled)
		wait_until(mirror, end->now_ms + pause_of(++mirror->stalls));
	if (end->brought > MIRROR_PROGRESS_BYTES) {
		mirror->failures = 0;
		return;
	}
	mirror->err = *err;
	if (mirror->failures && end->began_ms <= mirror->failed_ms)
		return;
	mirror->failures++;
	mirror->failed_ms = end->now_ms;
	wait_until(mirror, end->now_ms + pause_of(mirror->failures));
	if (mirror->failures > MIRROR_FAILURES_MAX && (end->reached || !end->patient))
		mirror->out = true;
}

void mirror_wrong(struct mirror *mirror)
{
	mirror->strikes++;
}

bool mirror_is_weak(const struct mirror *mirror)
{
	return mirror->strikes >= MIRROR_STRIKES_MAX || mirror->stalls > 0;
}

void mirror_right(struct mirror *mirror)
{
	mirror->strikes = mirror->failures = mirror->logins = 0;
	mirror->reached = true;
}

void mirror_give_up(struct mirror *mirror, const struct err *err)
{
	mirror->err = *err;
	mirror->out = true;
}
