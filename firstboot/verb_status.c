#include <string.h>
#include <time.h>

#include "cache/base/version.h"
#include "firstboot/config.h"
#include "firstboot/detect.h"
#include "firstboot/source.h"
#include "firstboot/stamp.h"
#include "firstboot/status.h"
#include "firstboot/verbs.h"

#define WAIT_PAUSE_MS 200
#define WAIT_S 900 /* unless told otherwise: as long as the main moment's unit may take */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* This boot's status, else what the last run left over a reboot. */
static int read_status(const struct machine *machine, json_t **out_root, struct err *err)
{
	static const char *const paths[] = { "/" MACHINE_RUN "/" STATUS_NAME,
					     "/" MACHINE_STATE "/" STATUS_RESULT };

	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		AUTO_FREE char *data = NULL;
		size_t size;

		if (machine_read(machine, paths[i], STATUS_MAX_BYTES, &data, &size, err) == 0)
			return json_parse(data, size, out_root, err) < 0
				       ? err_wrap(err, "%s", paths[i])
				       : 0;
		if (err->kind != ERR_MISSING)
			return -1;
	}
	return err_set(err, ERR_MISSING, "no run has left a status yet");
}

/* How this boot's main moment ended, or the net moment behind it; -1: it is not over. */
static json_int_t main_code(const struct machine *machine)
{
	const char path[] = "/" MACHINE_RUN "/" STATUS_NAME;
	AUTO_JSON json_t *root = NULL;
	AUTO_FREE char *data = NULL;
	struct identity identity;
	struct err none = { 0 };
	const json_t *moments, *part;
	size_t size;

	identity_read(machine, &identity);
	if (machine_read(machine, path, STATUS_MAX_BYTES, &data, &size, &none) < 0 ||
	    json_parse(data, size, &root, &none) < 0 || !status_is_of_boot(root, &identity))
		return -1;
	moments = json_object_get(root, "moments");
	part = json_object_get(moments, STATUS_NET);
	if (!part)
		part = json_object_get(moments, stamp_moment_name(PLAN_MAIN));
	/* A run that goes on has no code yet; one that is pending has not that of its end. */
	return json_is_integer(json_object_get(part, "code")) &&
			       strcmp(text_of(part, "state"), STATUS_PENDING) != 0
		       ? json_integer_value(json_object_get(part, "code"))
		       : -1;
}

/* ERR_TIMEOUT: it is not over. ERR_MISSING: none will come. */
static int wait_for_main(const struct machine *machine, uint64_t seconds, int *out_code,
			 struct err *err)
{
	const struct timespec pause = { .tv_nsec = WAIT_PAUSE_MS * 1000000L };
	uint64_t deadline_ms = fs_boot_ms() + seconds * 1000;
	json_int_t code = main_code(machine);

	if (code < 0 && !fs_exists(machine->root, MACHINE_ETC "/trust.json"))
		return err_set(err, ERR_MISSING,
			       "no run will come: there is no /" MACHINE_ETC "/trust.json");
	for (; code < 0 && fs_boot_ms() < deadline_ms; code = main_code(machine))
		nanosleep(&pause, NULL);
	if (code < 0)
		return err_set(err, ERR_TIMEOUT,
			       "the main moment of this boot is not over after %llu s",
			       (unsigned long long)seconds);
	*out_code = (int)code;
	return 0;
}

/* SECONDS, or the default; 0: not to wait at all. */
static int read_wait(const struct status_args *args, const struct cli_operands *operands,
		     uint64_t *out_seconds, struct err *err)
{
	const char *word = operands->count ? operands->item[0] : NULL;
	uint64_t seconds = args->wait ? WAIT_S : 0;

	if (word && !args->wait)
		return err_set(err, ERR_USAGE, "%s: SECONDS stands after --wait", word);
	if (word && (word[strspn(word, "0123456789")] || strlen(word) > 5 ||
		     (seconds = strtoull(word, NULL, 10)) < 1))
		return err_set(err, ERR_USAGE, "--wait %s: expected 1 to 99999 seconds", word);
	*out_seconds = seconds;
	return 0;
}

static void print_moment(const char *name, const json_t *part)
{
	const json_t *device;
	size_t i;

	printf("%s: %s, %s%s%s\n", name, text_of(part, "state"), text_of(part, "reason"),
	       text_of(part, "text")[0] ? ": " : "", text_of(part, "text"));
	if (text_of(part, "remedy")[0])
		printf("  %s\n", text_of(part, "remedy"));
	json_array_foreach(json_object_get(part, "devices"), i, device) printf(
		"  %s %s %s: %s\n", text_of(device, "address"), text_of(device, "driver"),
		text_of(device, "interface"), text_of(device, "outcome"));
}

/* What is so now: a candidate may have come or gone since the last run. Its reason is the next run's; false: none would
 * be used. */
static bool look_at_source(const struct machine *machine, struct source *source)
{
	AUTO_FACTS struct facts facts = { 0 };
	struct log quiet = { 0 };
	struct config config;
	struct err none = { 0 };

	config_load(machine, &config, &quiet);
	source->repair = config.repair;

	return detect_facts(machine, &facts, &none) == 0 &&
	       source_open(machine, &facts, source, &none) == REASON_DONE;
}

/* --- is what was said still about this machine, as it is now? -------------------------------------- */

enum stale { STALE_MACHINE, STALE_STATEMENT, STALE_AGENT, STALE_COUNT };

static const struct {
	const char *name, *text;
} stale_words[STALE_COUNT] = {
	[STALE_MACHINE] = { "machine",
			    "it was said of another machine: the machine id differs" },
	[STALE_STATEMENT] = { "statement",
			      "it rests on another statement than the one of now" },
	[STALE_AGENT] = { "agent", "it was said by another version of the agent" },
};

static void judge_stale(const struct machine *machine, const json_t *root,
			const struct source *source, bool usable, bool stale[STALE_COUNT])
{
	const json_t *statement = json_object_get(root, "statement");
	char envelope[DIGEST_TEXT_MAX];
	struct identity identity;

	identity_read(machine, &identity);
	digest_text(&source->cache.envelope, envelope);
	stale[STALE_MACHINE] = status_is_foreign(root, &identity);
	stale[STALE_STATEMENT] =
		statement && usable && strcmp(text_of(statement, "envelope"), envelope) != 0;
	stale[STALE_AGENT] = strcmp(text_of(root, "agent"), LARDER_VERSION) != 0;
}

static json_t *stale_json(const bool stale[STALE_COUNT])
{
	json_t *words = json_array();

	for (size_t i = 0; i < STALE_COUNT; i++) {
		if (stale[i])
			json_array_append_new(words, json_string(stale_words[i].name));
	}
	return words;
}

static void print_stale(const bool stale[STALE_COUNT])
{
	for (size_t i = 0; i < STALE_COUNT; i++) {
		if (stale[i])
			printf("stale: %s\n", stale_words[i].text);
	}
}

/* --- the serials of now ---------------------------------------------------------------------------- */

static json_t *serial_json(uint64_t serial)
{
	return serial ? json_integer((json_int_t)serial) : json_null();
}

static void print_serial(const char *name, uint64_t serial)
{
	if (serial)
		printf(" %s %llu", name, (unsigned long long)serial);
	else
		printf(" %s none", name);
}

static void print_serials(const struct source_serials *serial)
{
	printf("serial:");
	print_serial("carried", serial->carried);
	print_serial("stored", serial->stored);
	print_serial("floor", serial->floor);
	printf("\n");
}

static json_t *serials_json(const struct source_serials *serial)
{
	return json_pack("{s:o, s:o, s:o}", "carried", serial_json(serial->carried), "stored",
			 serial_json(serial->stored), "floor", serial_json(serial->floor));
}

static int show(const struct machine *machine, bool json, struct err *err)
{
	AUTO_JSON json_t *root = NULL;
	AUTO_SOURCE struct source source = SOURCE_NONE;
	bool stale[STALE_COUNT], usable;
	const json_t *part;
	const char *name;

	if (read_status(machine, &root, err) < 0)
		return -1;
	usable = look_at_source(machine, &source);
	judge_stale(machine, root, &source, usable, stale);
	if (json) {
		json_object_set_new(root, "serials", serials_json(&source.serial));
		json_object_set_new(root, "stale", stale_json(stale));
		verb_print_json(root);
		return 0;
	}
	json_object_foreach(json_object_get(root, "moments"), name, part)
		print_moment(name, part);
	print_stale(stale);
	print_serials(&source.serial);
	if (source.note[0])
		printf("note: %s\n", source.note);
	return 0;
}

int verb_status(const void *arguments, const struct cli_operands *operands, struct err *err)
{
	const struct status_args *args = arguments;
	AUTO_MACHINE struct machine machine = MACHINE_NONE;
	uint64_t seconds;
	int code = 0;

	if (read_wait(args, operands, &seconds, err) < 0 ||
	    machine_open(args->sysroot, &machine, err) < 0)
		return -1;
	if (seconds && wait_for_main(&machine, seconds, &code, err) < 0) {
		if (err->kind != ERR_TIMEOUT)
			return -1;
		fprintf(stderr, "larder-firstboot: status: %s\n", err->text);
		return reason_exit(REASON_TIMEOUT);
	}
	return show(&machine, args->json, err) < 0 ? -1 : code;
}
