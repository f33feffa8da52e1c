#include "firstboot/flow.h"

#include <string.h>

#include "firstboot/stage.h"

/* idle? comes after detect: whether anything changed is a question about the facts. */
enum step { DETECT, IDLE, OPEN, PLAN, STAGE, INSTALL, LOAD, PROVE, RECORD, END };

static const struct {
	enum step now;
	enum flow_verdict verdict;
	enum step next;
} transitions[] = {
	/* clang-format off */
	{ DETECT,  FLOW_GO,      IDLE },
	{ IDLE,    FLOW_GO,      OPEN },
	{ IDLE,    FLOW_NOTHING, END },     /* all still holds: nothing is parsed */
	{ OPEN,    FLOW_GO,      PLAN },    /* from here on the statement is proven */
	{ PLAN,    FLOW_GO,      STAGE },
	{ PLAN,    FLOW_NOTHING, RECORD },  /* no bundle for any device here */
	{ STAGE,   FLOW_GO,      INSTALL }, /* the only way to install: every blob was checked */
	{ INSTALL, FLOW_GO,      LOAD },
	{ INSTALL, FLOW_NOTHING, RECORD },  /* a dry run */
	{ LOAD,    FLOW_GO,      PROVE },
	{ PROVE,   FLOW_GO,      RECORD },
	{ RECORD,  FLOW_GO,      END },
	/* clang-format on */
}; /* every pair not listed: RECORD, and from RECORD: END */

static enum flow_verdict act(struct flow *flow, enum step step)
{
	switch (step) {
	case DETECT:
		return flow_detect(flow);
	case IDLE:
		return flow_idle(flow);
	case OPEN:
		return flow_open(flow);
	case PLAN:
		return flow_plan(flow);
	case STAGE:
		return flow_stage(flow);
	case INSTALL:
		return flow->dry ? flow_rehearse(flow) : flow_install(flow);
	case LOAD:
		return flow_load(flow);
	case PROVE:
		return flow_prove(flow);
	case RECORD:
		return flow_record(flow);
	case END:
		break;
	}
	abort();
}

static enum step next_step(enum step now, enum flow_verdict verdict)
{
	for (size_t i = 0; i < COUNT_OF(transitions); i++) {
		if (transitions[i].now == now && transitions[i].verdict == verdict)
			return transitions[i].next;
	}
	return now == RECORD ? END : RECORD;
}

enum flow_verdict flow_stop(struct flow *flow, enum reason reason, const char *text)
{
	flow->reason = reason;
	snprintf(flow->text, sizeof(flow->text), "%.511s", text);
	return FLOW_STOP;
}

static void clear_staging(struct flow *flow)
{
	struct err err = { 0 };

	if (stage_clear(flow->machine, &err) < 0)
		log_line(flow->log, "warning: %s", err.text);
}

void flow_run(struct flow *flow)
{
	enum step step = DETECT;

	flow->source = (struct source)SOURCE_NONE;
	clear_staging(flow);
	flow_net_begin(flow);
	while (step != END) {
		step = next_step(step, act(flow, step));
		if (step != IDLE && step != END)
			status_save(flow->status, false);
	}
	clear_staging(flow);
}

void flow_free(struct flow *flow)
{
	for (size_t i = 0; flow->job && i < flow->chosen.row_count; i++) {
		record_free(&flow->job[i].record);
		if (flow->job[i].staged >= 0)
			close(flow->job[i].staged);
	}
	free(flow->job);
	chosen_free(&flow->chosen);
	source_close(&flow->source);
	lack_free(&flow->lack);
	stamp_free(&flow->stamp);
	facts_free(&flow->facts);
}
