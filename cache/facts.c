#include "cache/facts.h"

#include <stddef.h>
#include <string.h>

#include "cache/name.h"

#define FACTS_FORMAT "larder.facts.v1"
#define VMBUS_NETWORK                                                                          \
	"vmbus:635161f83edfc546913ff2d2f965ed0e" /* f8615163-df3e-46c5-913f-f2d2f965ed0e */

void facts_free(struct facts *facts)
{
	free(facts->kernels);
	free(facts->device);
	*facts = (struct facts) { 0 };
}

bool facts_device_is_network(const struct facts_device *device)
{
	if (strcmp(device->bus, "pci") == 0)
		return strstr(device->modalias, "bc02") || strstr(device->modalias, "&CC_02");
	if (strcmp(device->bus, "virtio") == 0)
		return strncmp(device->modalias, "virtio:d00000001", 16) == 0;
	return strncmp(device->modalias, VMBUS_NETWORK, strlen(VMBUS_NETWORK)) == 0;
}

void facts_device_class(const struct facts_device *device, char out[5])
{
	const char *class =
		strcmp(device->bus, "pci") == 0 ? strstr(device->modalias, "bc") : NULL;
	const char *pnp = strstr(device->modalias, "&CC_");

	out[0] = '\0';
	if (class && strlen(class) >= 8 && strncmp(class + 4, "sc", 2) == 0)
		snprintf(out, 5, "%.2s%.2s", class + 2, class + 6);
	else if (pnp && strlen(pnp) >= 8)
		snprintf(out, 5, "%.4s", pnp + 4);
}

bool facts_is_like(const struct facts *facts, const char *os_id)
{
	size_t length = strlen(os_id);

	for (const char *at = facts->os_like; *at;) {
		size_t word = strcspn(at, " ");

		if (word == length && strncmp(at, os_id, word) == 0)
			return strcmp(facts->os_id, os_id) != 0;
		at += word + strspn(at + word, " ");
	}
	return false;
}

/* --- as JSON ---------------------------------------------------------------------------------------- */

/* A member that is text, in either struct. */
struct text {
	const char *key;
	size_t at, size; /* in the struct; size has the NUL */
};
#define TEXT(type, name, field)                                                                \
	{                                                                                      \
		name, offsetof(struct type, field), sizeof(((struct type *)0)->field)          \
	}

static const struct text texts[] = {
	TEXT(facts, "family", family),
	TEXT(facts, "os_id", os_id),
	TEXT(facts, "os_version", os_version),
	TEXT(facts, "os_like", os_like),
	TEXT(facts, "arch", arch),
	TEXT(facts, "kernel", kernel),
	TEXT(facts, "lockdown", lockdown),
	TEXT(facts, "vm_size", vm_size),
	TEXT(facts, "nd_version", nd_version),
};

static const struct text device_texts[] = {
	TEXT(facts_device, "bus", bus),
	TEXT(facts_device, "address", address),
	TEXT(facts_device, "modalias", modalias),
	TEXT(facts_device, "driver", driver),
	TEXT(facts_device, "interface", interface),
	TEXT(facts_device, "link_layer", link_layer),
	TEXT(facts_device, "srcversion", srcversion),
	TEXT(facts_device, "dependents", dependents),
};

static const struct {
	const char *key;
	size_t at;
} flags[] = {
	{ "sig_enforce", offsetof(struct facts, sig_enforce) },
	{ "hyperv", offsetof(struct facts, hyperv) },
	{ "azure", offsetof(struct facts, azure) },
};

static const char *const secure_boots[] = {
	[FACTS_SECURE_BOOT_UNKNOWN] = "unknown",
	[FACTS_SECURE_BOOT_OFF] = "off",
	[FACTS_SECURE_BOOT_ON] = "on",
};

static bool *flag_of(const struct facts *facts, size_t i)
{
	return (bool *)((uintptr_t)facts + flags[i].at);
}

static void put_texts(json_t *object, const struct text *text, size_t count, const void *from)
{
	for (size_t i = 0; i < count; i++)
		json_object_set_new(object, text[i].key,
				    json_string((const char *)from + text[i].at));
}

static json_t *device_json(const struct facts_device *device)
{
	json_t *value = json_object();
	char class[5];

	put_texts(value, device_texts, COUNT_OF(device_texts), device);
	facts_device_class(device, class);
	json_object_set_new(value, "class", json_string(class));
	return value;
}

json_t *facts_json(const struct facts *facts)
{
	json_t *root = json_pack("{s:s}", "format", FACTS_FORMAT);
	json_t *kernels = json_array(), *devices = json_array();

	put_texts(root, texts, COUNT_OF(texts), facts);
	json_object_set_new(root, "secure_boot", json_string(secure_boots[facts->secure_boot]));
	for (size_t i = 0; i < COUNT_OF(flags); i++)
		json_object_set_new(
			root, flags[i].key,
			json_boolean(*(const bool *)((const char *)facts + flags[i].at)));
	for (size_t i = 0; i < facts->kernel_count; i++)
		json_array_append_new(kernels, json_string(facts->kernels[i]));
	for (size_t i = 0; i < facts->device_count; i++)
		json_array_append_new(devices, device_json(&facts->device[i]));
	json_object_set_new(root, "kernels", kernels);
	json_object_set_new(root, "devices", devices);
	return root;
}

/* --- and back --------------------------------------------------------------------------------------- */

/* A text may be empty, which no other reader of ours allows. */
static void take_text(struct json_reader *reader, const struct text *text, void *to)
{
	const json_t *value = json_want_any(reader, text->key);
	const char *string = json_string_value(value);

	if (!value)
		return;
	if (!string || strlen(string) >= text->size)
		json_bad(reader, text->key, "expected a text of at most %zu bytes",
			 text->size - 1);
	else
		err_clean(strcpy((char *)to + text->at, string));
}

static void take_texts(struct json_reader *reader, const struct text *text, size_t count,
		       void *to)
{
	for (size_t i = 0; i < count; i++)
		take_text(reader, &text[i], to);
}

static int take_device(const json_t *value, size_t i, struct facts_device *device,
		       struct err *err)
{
	struct json_reader reader;
	char where[32];

	snprintf(where, sizeof(where), "devices[%zu]", i);
	reader = json_open(value, where, err);
	take_texts(&reader, device_texts, COUNT_OF(device_texts), device);
	json_want_any(&reader, "class"); /* the modalias says it */
	if (!reader.bad && (!device->bus[0] || !device->modalias[0]))
		json_bad(&reader, "", "expected bus and modalias");
	return json_close(&reader);
}

static int take_devices(const json_t *devices, struct facts *facts, struct err *err)
{
	facts->device = must_calloc(json_array_size(devices), sizeof(*facts->device));
	for (; facts->device_count < json_array_size(devices); facts->device_count++) {
		size_t i = facts->device_count;

		if (take_device(json_array_get(devices, i), i, &facts->device[i], err) < 0)
			return -1;
	}
	return 0;
}

static void take_secure_boot(struct json_reader *reader, struct facts *facts)
{
	const char *word = json_want_string(reader, "secure_boot", 16);
	size_t i = 0;

	while (word && i < COUNT_OF(secure_boots) && strcmp(word, secure_boots[i]) != 0)
		i++;
	if (word && i == COUNT_OF(secure_boots))
		json_bad(reader, "secure_boot", "expected \"on\", \"off\" or \"unknown\"");
	else if (word)
		facts->secure_boot = (enum facts_secure_boot)i;
}

static void take_kernels(struct json_reader *reader, struct facts *facts)
{
	struct json_strings list = json_want_strings(reader, "kernels", FACTS_MAX_KERNELS,
						     name_is_release, "a kernel release");

	facts->kernels = must_calloc(list.count, sizeof(*facts->kernels));
	for (; facts->kernel_count < list.count; facts->kernel_count++)
		snprintf(facts->kernels[facts->kernel_count], FACTS_TEXT_MAX, "%s",
			 list.item[facts->kernel_count]);
	json_strings_free(&list);
}

static void check_texts(struct json_reader *reader, const struct facts *facts)
{
	if (!facts->family[0])
		json_bad(reader, "family", "missing");
	if (facts->kernel[0] && !name_is_release(facts->kernel))
		json_bad(reader, "kernel", "expected a kernel release");
}

static int take_facts(const json_t *document, struct facts *facts, struct err *err)
{
	struct json_reader reader = json_open(document, "", err);
	const char *format = json_need_string(&reader, "format", 32);
	const json_t *devices;

	if (format && strcmp(format, FACTS_FORMAT) != 0)
		json_bad(&reader, "format", "expected \"" FACTS_FORMAT "\"");
	take_texts(&reader, texts, COUNT_OF(texts), facts);
	take_secure_boot(&reader, facts);
	for (size_t i = 0; i < COUNT_OF(flags); i++)
		*flag_of(facts, i) = json_want_bool(&reader, flags[i].key, false);
	if (!reader.bad)
		take_kernels(&reader, facts);
	devices = json_want_array(&reader, "devices", FACTS_MAX_DEVICES);
	if (!reader.bad)
		check_texts(&reader, facts);
	if (json_close(&reader) < 0)
		return -1;
	return take_devices(devices, facts, err);
}

int facts_parse(const char *data, size_t size, struct facts *out_facts, struct err *err)
{
	AUTO_FACTS struct facts facts = { 0 };
	AUTO_JSON json_t *document = NULL;

	if (json_parse(data, size, &document, err) < 0 || take_facts(document, &facts, err) < 0)
		return -1;
	*out_facts = facts;
	facts = (struct facts) { 0 };
	return 0;
}

/* --- digest ----------------------------------------------------------------------------------------- */

static void add_text(struct digest_stream *stream, const char *text)
{
	digest_stream_add(stream, text, strlen(text) + 1);
}

static int by_modalias(const void *left, const void *right)
{
	const struct facts_device *a = *(const struct facts_device *const *)left;
	const struct facts_device *b = *(const struct facts_device *const *)right;
	int order = strcmp(a->modalias, b->modalias);

	return order != 0 ? order : strcmp(a->bus, b->bus);
}

void facts_digest(const struct facts *facts, struct digest *out)
{
	AUTO_STREAM struct digest_stream *stream = digest_stream_new();
	AUTO_FREE const struct facts_device **sorted =
		must_calloc(facts->device_count, sizeof(*sorted));

	for (size_t i = 0; i < facts->device_count; i++)
		sorted[i] = &facts->device[i];
	qsort(sorted, facts->device_count, sizeof(*sorted), by_modalias);
	add_text(stream, facts->family);
	add_text(stream, facts->os_id);
	add_text(stream, facts->os_version);
	add_text(stream, facts->arch);
	add_text(stream, facts->kernel);
	add_text(stream, facts->vm_size);
	add_text(stream, facts->os_like);
	add_text(stream, secure_boots[facts->secure_boot]);
	for (size_t i = 0; i < facts->kernel_count; i++)
		add_text(stream, facts->kernels[i]);
	add_text(stream, "");
	for (size_t i = 0; i < facts->device_count; i++) {
		add_text(stream, sorted[i]->bus);
		add_text(stream, sorted[i]->modalias);
	}
	digest_stream_end(stream, out);
}
