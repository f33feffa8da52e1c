#include "cache/facts.h"

#include <string.h>

#define VMBUS_NETWORK                                                                          \
	"vmbus:635161f83edfc546913ff2d2f965ed0e" /* f8615163-df3e-46c5-913f-f2d2f965ed0e */

void facts_free(struct facts *facts)
{
	free(facts->device);
	*facts = (struct facts) { 0 };
}

bool facts_device_is_network(const struct facts_device *device)
{
	if (strcmp(device->bus, "pci") == 0)
		return strstr(device->modalias, "bc02") != NULL;
	if (strcmp(device->bus, "virtio") == 0)
		return strncmp(device->modalias, "virtio:d00000001", 16) == 0;
	return strncmp(device->modalias, VMBUS_NETWORK, strlen(VMBUS_NETWORK)) == 0;
}

json_t *facts_json(const struct facts *facts)
{
	json_t *devices = json_array();

	for (size_t i = 0; i < facts->device_count; i++) {
		const struct facts_device *device = &facts->device[i];

		json_array_append_new(devices,
				      json_pack("{s:s, s:s, s:s, s:s, s:s}", "bus", device->bus,
						"address", device->address, "modalias",
						device->modalias, "driver", device->driver,
						"interface", device->interface));
	}
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "format",
			 "larder.facts.v1", "family", facts->family, "os_id", facts->os_id,
			 "os_version", facts->os_version, "arch", facts->arch, "kernel",
			 facts->kernel, "vm_size", facts->vm_size, "nd_version",
			 facts->nd_version, "devices", devices);
}

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
	for (size_t i = 0; i < facts->device_count; i++) {
		add_text(stream, sorted[i]->bus);
		add_text(stream, sorted[i]->modalias);
	}
	digest_stream_end(stream, out);
}
