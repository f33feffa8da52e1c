#include "firstboot/metrics.h"

#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static void put_label(FILE *out, const char *key, const char *value, bool first)
{
	fprintf(out, "%s%s=\"", first ? "{" : ",", key);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			fputc('\\', out);
		if (*value == '\n')
			fputs("\\n", out);
		else
			fputc(*value, out);
	}
	fputc('"', out);
}

struct label {
	const char *key, *value;
};

static void put_sample(FILE *out, const char *name, const struct label *label, size_t count,
		       double value)
{
	fputs(name, out);
	for (size_t i = 0; i < count; i++)
		put_label(out, label[i].key, label[i].value, i == 0);
	fprintf(out, "%s %.15g\n", count ? "}" : "", value);
}

static void put_head(FILE *out, const char *name, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

/* --- one number of each moment -------------------------------------------------------------------- */

static double success(const json_t *part)
{
	return strcmp(text_of(part, "state"), "failed") != 0;
}

static double exit_code(const json_t *part)
{
	return (double)json_integer_value(json_object_get(part, "code"));
}

static double ended(const json_t *part)
{
	return (double)json_integer_value(json_object_get(part, "ended"));
}

static double duration(const json_t *part)
{
	return (double)json_integer_value(json_object_get(part, "took_ms")) / 1000;
}

static double reboot(const json_t *part)
{
	return json_is_true(json_object_get(part, "reboot_required"));
}

static const struct {
	const char *name, *help;
	double (*value)(const json_t *part);
} numbers[] = {
	{ "larder_run_success", "1 unless the last run of this moment failed.", success },
	{ "larder_run_exit_code", "Exit code of the last run, as the Azure extension has them.",
	  exit_code },
	{ "larder_run_timestamp_seconds", "When the last run ended, by the machine's clock.",
	  ended },
	{ "larder_run_duration_seconds", "How long the last run took.", duration },
	{ "larder_run_reboot_required", "1 when the driver takes over after a reboot.",
	  reboot },
};

static void put_numbers(FILE *out, const json_t *moments)
{
	const json_t *part;
	const char *moment;

	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		put_head(out, numbers[i].name, numbers[i].help);
		json_object_foreach((json_t *)(uintptr_t)moments, moment, part)
			put_sample(out, numbers[i].name, &(struct label) { "moment", moment },
				   1, numbers[i].value(part));
	}
}

static void put_reasons(FILE *out, const json_t *moments)
{
	static const char name[] = "larder_run_reason";
	const json_t *part;
	const char *moment;

	put_head(out, name, "How the last run ended, and why.");
	json_object_foreach((json_t *)(uintptr_t)moments, moment, part)
	{
		const struct label labels[] = { { "moment", moment },
						{ "state", text_of(part, "state") },
						{ "reason", text_of(part, "reason") } };

		put_sample(out, name, labels, COUNT_OF(labels), 1);
	}
}

static const struct {
	const char *name, *key, *help;
} downloads[] = {
	{ "larder_download_missing_blobs", "missing", "Blobs that were not here at the end." },
	{ "larder_download_missing_bytes", "missing_bytes", "Their bytes." },
	{ "larder_download_taken_blobs", "taken", "Blobs that the run took in." },
	{ "larder_download_refused_blobs", "refused",
	  "What was brought, and was not what was signed." },
	{ "larder_download_fetched_bytes", "fetched",
	  "Bytes from the network, as the downloader says." },
};

/* Of the moments that missed something. */
static void put_downloads(FILE *out, const json_t *moments)
{
	const json_t *part, *download;
	const char *moment;

	for (size_t i = 0; i < COUNT_OF(downloads); i++) {
		put_head(out, downloads[i].name, downloads[i].help);
		json_object_foreach((json_t *)(uintptr_t)moments, moment, part)
		{
			download = json_object_get(part, "download");
			if (download)
				put_sample(out, downloads[i].name,
					   &(struct label) { "moment", moment }, 1,
					   (double)json_integer_value(json_object_get(
						   download, downloads[i].key)));
		}
	}
}

/* --- devices and kernels -------------------------------------------------------------------------- */

static double bound(const json_t *device)
{
	return json_is_true(json_object_get(device, "bound"));
}

static double proven(const json_t *device)
{
	return strcmp(text_of(device, "outcome"), "done") == 0;
}

/* Its address, and one more word of it. */
static void put_devices(FILE *out, const json_t *moments, const char *name, const char *help,
			const char *word, double (*value)(const json_t *device))
{
	const json_t *part, *device;
	const char *moment;
	size_t i;

	put_head(out, name, help);
	json_object_foreach((json_t *)(uintptr_t)moments, moment, part)
	{
		json_array_foreach(json_object_get(part, "devices"), i, device)
		{
			const struct label labels[] = {
				{ "moment", moment },
				{ "address", text_of(device, "address") },
				{ word, text_of(device, word) },
			};

			put_sample(out, name, labels, COUNT_OF(labels), value(device));
		}
	}
}

static void put_kernels(FILE *out, const json_t *gaps)
{
	static const char name[] = "larder_kernel_uncovered";
	const json_t *gap;
	size_t i;

	put_head(out, name, "An installed kernel under which a device would have no bundle.");
	json_array_foreach(gaps, i, gap)
	{
		const struct label labels[] = { { "kernel", text_of(gap, "kernel") },
						{ "address", text_of(gap, "address") } };

		put_sample(out, name, labels, COUNT_OF(labels), 1);
	}
}

static void put_statement(FILE *out, const json_t *statement)
{
	static const char name[] = "larder_statement_serial";

	if (!statement)
		return;
	put_head(out, name, "Serial of the statement that the last run used.");
	put_sample(out, name, &(struct label) { "name", text_of(statement, "name") }, 1,
		   (double)json_integer_value(json_object_get(statement, "serial")));
}

char *metrics_text(const json_t *document)
{
	const json_t *moments = json_object_get(document, "moments");
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		abort();
	put_head(out, "larder_agent_info", "The agent that wrote this file.");
	put_sample(out, "larder_agent_info",
		   &(struct label) { "version", text_of(document, "agent") }, 1, 1);
	put_numbers(out, moments);
	put_reasons(out, moments);
	put_downloads(out, moments);
	put_devices(out, moments, "larder_device_bound", "1 when the device has a driver.",
		    "driver", bound);
	put_devices(out, moments, "larder_device_proven",
		    "1 when the device was proven to work.", "outcome", proven);
	put_kernels(out, json_object_get(document, "kernels_without"));
	put_statement(out, json_object_get(document, "statement"));
	if (fclose(out) != 0)
		abort();
	return text;
}
