#include "cache/explain.h"

#include <string.h>

#define FEW 3 /* of the rows that lost by one rule */

/* "15b3:101c" out of a PCI modalias, else the modalias. */
static void id_of(const struct facts_device *device, char out[PLAN_TEXT_MAX])
{
	unsigned vendor, id;

	if (sscanf(device->modalias, "pci:v%8xd%8x", &vendor, &id) == 2)
		snprintf(out, PLAN_TEXT_MAX, "%04x:%04x", vendor, id);
	else
		snprintf(out, PLAN_TEXT_MAX, "%s", device->modalias);
}

static const char *kind_of(const struct facts_device *device)
{
	char class[5];

	facts_device_class(device, class);
	if (device->link_layer[0])
		return device->link_layer;
	if (strcmp(class, "0207") == 0)
		return "InfiniBand";
	if (strcmp(class, "0200") == 0)
		return "Ethernet";
	return facts_device_is_network(device) ? "network" : "";
}

void explain_device(const struct facts_device *device, char out[PLAN_TEXT_MAX])
{
	const char *kind = kind_of(device);
	char id[PLAN_TEXT_MAX];

	id_of(device, id);
	snprintf(out, PLAN_TEXT_MAX, "%s %s, %s%s%.200s%s%s", device->bus,
		 device->address[0] ? device->address : "-", kind, kind[0] ? " " : "", id,
		 device->driver[0] ? ", bound to " : "", device->driver);
}

json_t *explain_views(const struct plan_choice *choice, const struct facts *facts)
{
	json_t *views = json_array();

	for (size_t i = 0; i < choice->view_count; i++) {
		const struct plan_view *view = &choice->view[i];
		char text[PLAN_TEXT_MAX];

		plan_view_text(view, facts, choice->device, text);
		json_array_append_new(
			views, json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", view->row->name,
					 "version", view->row->version, "id", view->row->id,
					 "rule", plan_rule_name(view->rule), "text", text));
	}
	return views;
}

static void print_winner(FILE *out, const struct plan_choice *choice)
{
	char title[PLAN_TEXT_MAX];

	if (!choice->row) {
		fprintf(out, "  no bundle: %s\n",
			choice->claimed ? choice->text : "none is for this device");
		return;
	}
	for (size_t i = 0; i < choice->need_count; i++) {
		plan_title(choice->need[i], title);
		fprintf(out, "  first %s, which it needs\n", title);
	}
	plan_title(choice->row, title);
	fprintf(out, "  %s: rank %llu, the best that fits\n", title,
		(unsigned long long)choice->row->rank);
}

void explain_print(FILE *out, const struct plan_choice *choice, const struct facts *facts)
{
	size_t lost[PLAN_WON + 1] = { 0 };
	char text[PLAN_TEXT_MAX], title[PLAN_TEXT_MAX];

	explain_device(choice->device, text);
	fprintf(out, "%s\n", text);
	print_winner(out, choice);
	for (size_t i = 0; i < choice->view_count; i++) {
		const struct plan_view *view = &choice->view[i];

		if (view->rule == PLAN_WON || ++lost[view->rule] > FEW)
			continue;
		plan_title(view->row, title);
		plan_view_text(view, facts, choice->device, text);
		fprintf(out, "  not %s: %s\n", title, text);
	}
	for (int rule = 0; rule < PLAN_WON; rule++) {
		if (lost[rule] > FEW)
			fprintf(out, "  nor %zu others by the same rule (%s)\n",
				lost[rule] - FEW, plan_rule_name((enum plan_rule)rule));
	}
}

void explain_print_gaps(FILE *out, const struct plan_gap *gap, size_t count)
{
	for (size_t i = 0; i < count; i++)
		fprintf(out,
			"warning: kernel %s is installed too, and under it %s %s has no "
			"bundle%s%s\n",
			gap[i].kernel, gap[i].device->bus, gap[i].device->address,
			gap[i].text[0] ? ": " : "", gap[i].text);
}

json_t *explain_gaps(const struct plan_gap *gap, size_t count)
{
	json_t *gaps = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(
			gaps, json_pack("{s:s, s:s, s:s}", "kernel", gap[i].kernel, "address",
					gap[i].device->address, "text", gap[i].text));
	return gaps;
}
