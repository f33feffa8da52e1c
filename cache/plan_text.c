#include <string.h>

#include "cache/plan.h"

static const struct {
	const char *name;
	enum reason reason;
} rules[] = {
	[PLAN_BY_CLASS] = { "class", REASON_NOT_INFINIBAND },
	[PLAN_BY_LINK_LAYER] = { "link_layer", REASON_NOT_INFINIBAND },
	[PLAN_BY_MOMENT] = { "moment", REASON_NO_DEVICE },
	[PLAN_BY_LIKENESS] = { "likeness", REASON_OS },
	[PLAN_BY_WITHDRAWAL] = { "withdrawn", REASON_WITHDRAWN },
	[PLAN_BY_SIZE] = { "size", REASON_VM_SIZE },
	[PLAN_BY_KERNEL] = { "kernel", REASON_KERNEL },
	[PLAN_BY_SECURE_BOOT] = { "secure_boot", REASON_SECURE_BOOT },
	[PLAN_BY_EXCLUSION] = { "excludes", REASON_DEVICE },
	[PLAN_BY_REQUIREMENT] = { "requires", REASON_DEVICE },
	[PLAN_BY_RANK] = { "rank", REASON_DEVICE },
	[PLAN_BY_VERSION] = { "version", REASON_DEVICE },
	[PLAN_BY_ORDER] = { "order", REASON_DEVICE },
	[PLAN_WON] = { "won", REASON_DONE },
};

const char *plan_rule_name(enum plan_rule rule)
{
	return rules[rule].name;
}

/* A requirement that nothing of the cache could meet is another reason than one that does not fit here. */
enum reason plan_view_reason(const struct plan_view *view)
{
	if (view->rule == PLAN_BY_REQUIREMENT && !view->by)
		return REASON_NOT_CARRIED;
	return rules[view->rule].reason;
}

void plan_title(const struct table_row *row, char out[PLAN_TEXT_MAX])
{
	snprintf(out, PLAN_TEXT_MAX, "%.128s %.128s %.128s", row->name, row->version, row->id);
}

static const char *class_name(const struct facts_device *device)
{
	char class[5];

	facts_device_class(device, class);
	if (strcmp(class, "0207") == 0)
		return "InfiniBand";
	return strcmp(class, "0200") == 0 ? "Ethernet" : "of another class";
}

static void explain_excluded(const struct plan_view *view, char out[PLAN_TEXT_MAX])
{
	char name[PLAN_TEXT_MAX];

	plan_title(view->by, name);
	if (strcmp(view->row->name, view->by->name) == 0)
		snprintf(out, PLAN_TEXT_MAX,
			 "is another version of %.200s, which comes first: one machine gets "
			 "one version",
			 name);
	else
		snprintf(out, PLAN_TEXT_MAX,
			 "cannot be installed beside %.200s, which comes first", name);
}

static void explain_needed(const struct plan_view *view, char out[PLAN_TEXT_MAX])
{
	char name[PLAN_TEXT_MAX];

	if (view->by) {
		plan_title(view->by, name);
		snprintf(out, PLAN_TEXT_MAX, "needs %.200s, which does not fit here", name);
		return;
	}
	snprintf(out, PLAN_TEXT_MAX, "needs %.120s, which this cache does not have",
		 view->row->requires.count ? view->row->requires.item[0] : "?");
}

/* Why it lost to the row that was chosen. */
static void explain_order(const struct plan_view *view, char out[PLAN_TEXT_MAX])
{
	char name[PLAN_TEXT_MAX];

	plan_title(view->by, name);
	if (view->rule == PLAN_BY_RANK)
		snprintf(out, PLAN_TEXT_MAX, "rank %llu is below %llu of %.200s",
			 (unsigned long long)view->row->rank,
			 (unsigned long long)view->by->rank, name);
	else if (view->rule == PLAN_BY_VERSION)
		snprintf(out, PLAN_TEXT_MAX, "an older version than %.200s", name);
	else if (view->rule == PLAN_BY_LIKENESS)
		snprintf(out, PLAN_TEXT_MAX, "as good as %.200s, which is for this OS itself",
			 name);
	else
		snprintf(out, PLAN_TEXT_MAX, "as good as %.200s, which comes first by name",
			 name);
}

static void explain_row(const struct plan_view *view, const struct facts *facts,
			const struct facts_device *device, char out[PLAN_TEXT_MAX])
{
	if (view->rule == PLAN_BY_CLASS)
		snprintf(out, PLAN_TEXT_MAX, "is not for this function of the NIC, which is %s",
			 class_name(device));
	else if (view->rule == PLAN_BY_LINK_LAYER)
		snprintf(out, PLAN_TEXT_MAX, "is for %s, and this port is %s",
			 view->row->link_layer, device->link_layer);
	else if (view->rule == PLAN_BY_MOMENT)
		snprintf(out, PLAN_TEXT_MAX, "is not marked early");
	else if (view->rule == PLAN_BY_WITHDRAWAL)
		snprintf(out, PLAN_TEXT_MAX, "was withdrawn");
	else if (view->rule == PLAN_BY_SIZE)
		snprintf(out, PLAN_TEXT_MAX, "is not for VM size %s", facts->vm_size);
	else if (view->rule == PLAN_BY_KERNEL)
		snprintf(out, PLAN_TEXT_MAX, "is not for kernel %s", facts->kernel);
	else if (view->rule == PLAN_BY_SECURE_BOOT)
		snprintf(out, PLAN_TEXT_MAX, "cannot be used with Secure Boot, which is on");
}

void plan_view_text(const struct plan_view *view, const struct facts *facts,
		    const struct facts_device *device, char out[PLAN_TEXT_MAX])
{
	out[0] = '\0';
	if (view->rule == PLAN_BY_EXCLUSION)
		explain_excluded(view, out);
	else if (view->rule == PLAN_BY_REQUIREMENT)
		explain_needed(view, out);
	else if (view->rule == PLAN_BY_LIKENESS && !view->by)
		snprintf(out, PLAN_TEXT_MAX, "is not for OSes like its own, such as %s",
			 facts->os_id);
	else if (view->by)
		explain_order(view, out);
	else
		explain_row(view, facts, device, out);
}

void plan_view_sentence(const struct plan_view *view, const struct facts *facts,
			const struct facts_device *device, char out[PLAN_TEXT_MAX])
{
	char name[PLAN_TEXT_MAX], text[PLAN_TEXT_MAX];

	plan_view_text(view, facts, device, text);
	plan_title(view->row, name);
	snprintf(out, PLAN_TEXT_MAX, "%.240s %.240s", name, text);
}
