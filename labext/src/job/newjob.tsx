/**
 * The form of a new job in the main area. Nothing that was typed is lost by a refusal.
 *
 * `data-testid`: gw-newjob (`data-from` the job it was made out from), gw-newjob-script,
 * gw-newjob-browse, gw-newjob-args, gw-newjob-name, gw-newjob-restarts, gw-newjob-hang, gw-newjob-lost, gw-newjob-cwd,
 * gw-newjob-launcher, gw-newjob-flags, gw-newjob-checkpoints, gw-newjob-env, gw-newjob-cost,
 * gw-newjob-start, gw-newjob-problem (`data-code`); gw-card, gw-form-memory, gw-form-count and
 * gw-form-duration as in the panel.
 */

import React, { useEffect, useState } from 'react';

import type { ApiError } from '../api/errors';
import { asApiError } from '../api/errors';
import type { IJobFields, JobField } from '../model/jobform';
import { faultyFields, functionOf } from '../model/jobform';
import { fittingCard } from '../model/form';
import { pointsOf } from '../model/grid';
import { profileName, units } from '../model/words';
import { CountField, DurationField, MemoryField, Offer } from '../panel/fields';
import { useFollowed } from '../surface/follow';
import { Trouble } from '../surface/parts';
import {
  ChoiceField,
  Field,
  JobFormContext,
  NumberField,
  ScriptField,
  TextField,
  useJobForm
} from './formfields';
import type { IJobFormContext } from './formfields';
import { SweepFields } from './sweepfields';

export function NewJobPage(props: { context: IJobFormContext }): React.ReactElement {
  return (
    <JobFormContext.Provider value={props.context}>
      <NewJob />
    </JobFormContext.Provider>
  );
}

function NewJob(): React.ReactElement {
  const { form, cards, workbench, from, submit, trans } = useJobForm();
  const state = useFollowed(form.common.changed, () => form.common.state);
  const fields = useFollowed(form.changed, () => form.fields);
  const offered = useFollowed(cards.changed, () => cards.cards);
  const fleet = useFollowed(workbench.changed, () => workbench.fleet);
  const now = useFollowed(workbench.clock.ticked, () => workbench.clock.now);
  const [busy, setBusy] = useState(false);
  const [tried, setTried] = useState(false);
  const [problem, setProblem] = useState<ApiError | null>(null);
  useEffect(() => setProblem(null), [state, fields]); // It was about what stood there before.
  const faulty = faultyFields(state, fields);
  const chosen = fittingCard(state, offered ?? []);
  const common = { form: form.common, state, trans };
  const start = (): void => {
    setTried(true);
    setProblem(null);
    if (faulty.length) {
      return;
    }
    setBusy(true);
    submit()
      .catch((reason: unknown) => setProblem(asApiError(reason)))
      .finally(() => setBusy(false));
  };
  const name = functionOf(fields);
  const jobs = fields.sweep ? (pointsOf(fields.sweep.params)?.length ?? 0) : 1;
  return (
    <form
      className="gw-newjob"
      data-testid="gw-newjob"
      data-from={from?.id ?? ''}
      noValidate
      onSubmit={event => {
        event.preventDefault();
        start();
      }}
    >
      <h2>{from ? trans.__('Run %1 again', from.name) : trans.__('New training job')}</h2>
      <fieldset>
        <legend>{trans.__('What runs')}</legend>
        {name === null ? (
          <ScriptField faulty={tried && faulty.includes('script')} />
        ) : (
          <p className="gw-hint">
            {trans.__('The function %1, as it was sent from its notebook.', name)}
          </p>
        )}
        {name === null && (
          <TextField
            label={trans.__('arguments')}
            hint={trans.__('as in a terminal; no shell behind')}
            testid="gw-newjob-args"
            value={state.args}
            placeholder="--epochs 3"
            change={args => form.common.set({ args })}
          />
        )}
        <TextField
          label={trans.__('name')}
          hint={trans.__('empty: as the script')}
          testid="gw-newjob-name"
          value={state.name}
          change={text => form.common.set({ name: text })}
        />
      </fieldset>
      <fieldset>
        <legend>{trans.__('On what')}</legend>
        <div className="gw-row">
          <CountField {...common} />
          <span className="gw-hint">
            {faulty.includes('count')
              ? trans.__('At least 1.')
              : trans.__('each on a slice of its own:')}
          </span>
        </div>
        <Offer {...common} cards={cards} now={now} />
        <div className="gw-row">
          <MemoryField {...common} faulty={faulty.includes('memory')} />
          <DurationField {...common} fleet={fleet} />
          <span className="gw-cost" data-testid="gw-newjob-cost">
            {chosen && state.count >= 1
              ? trans.__(
                  fields.sweep ? '%1 × %2 costs %3 GPU a job' : '%1 × %2 costs %3 GPU',
                  state.count,
                  profileName(chosen.profile),
                  units(chosen.units * state.count)
                )
              : ''}
          </span>
        </div>
        {chosen && chosen.when !== 'now' && (
          <p className="gw-reason" role="status">
            {chosen.reason}
          </p>
        )}
      </fieldset>
      <SweepFields fields={fields} faulty={tried ? faulty : []} />
      <CareFields fields={fields} faulty={faulty} />
      <MoreFields fields={fields} faulty={faulty} />
      {problem && (
        <div data-testid="gw-newjob-problem" data-code={problem.code}>
          <Trouble problem={problem} dismiss={() => setProblem(null)} />
        </div>
      )}
      <div className="gw-row">
        <button
          className="gw-button gw-mod-primary gw-mod-large"
          type="submit"
          disabled={busy}
          data-testid="gw-newjob-start"
        >
          {busy
            ? trans.__('Asking…')
            : fields.sweep
              ? jobs
                ? trans.__('Start %1 jobs', jobs)
                : trans.__('Start the sweep')
              : chosen?.when === 'queued'
                ? trans.__('Start when its slices are free')
                : trans.__('Start job')}
        </button>
        {tried && faulty.length > 0 && (
          <span className="gw-hint gw-mod-bad" role="alert">
            {trans.__('Look at what is marked above.')}
          </span>
        )}
      </div>
    </form>
  );
}

interface IGroupProps {
  fields: IJobFields;
  faulty: readonly JobField[];
}

/** What becomes of it when something goes wrong. */
function CareFields(props: IGroupProps): React.ReactElement {
  const { fields, faulty } = props;
  const { form, trans } = useJobForm();
  return (
    <fieldset>
      <legend>{trans.__('When something fails')}</legend>
      <div className="gw-row">
        <NumberField
          label={trans.__('restarts')}
          hint={trans.__('times all ranks start again by themselves')}
          error={faulty.includes('restarts') ? trans.__('A number from 0 to 100.') : ''}
          testid="gw-newjob-restarts"
          value={fields.restarts}
          change={restarts => form.set({ restarts })}
        />
        <NumberField
          label={trans.__('end it after')}
          hint={trans.__('seconds in which no rank makes a step; empty: only tell')}
          error={faulty.includes('hang') ? trans.__('Seconds, 1 or more.') : ''}
          testid="gw-newjob-hang"
          value={fields.hang}
          change={hang => form.set({ hang })}
        />
      </div>
      <ChoiceField
        label={trans.__('a lost rank')}
        hint={trans.__(
          'killed, or its GPU gone, with no restart left; it goes on from a checkpoint'
        )}
        testid="gw-newjob-lost"
        value={fields.ifLost}
        options={{
          fail: trans.__('ends the job'),
          replace: trans.__('is replaced on new slices'),
          fewer: trans.__('is left out: the others go on')
        }}
        change={ifLost => form.set({ ifLost })}
      />
    </fieldset>
  );
}

/** What most jobs leave as it is; open where something stands in it. */
function MoreFields(props: IGroupProps): React.ReactElement {
  const { fields, faulty } = props;
  const { form, trans } = useJobForm();
  const [open] = useState(
    fields.env !== '' || fields.launcher !== 'torch' || fields.checkpointDir !== ''
  );
  return (
    <details open={open || faulty.includes('env')} className="gw-newjob-more">
      <summary>{trans.__('More: folder, launcher, checkpoints, environment')}</summary>
      <fieldset>
        <TextField
          label={trans.__('folder')}
          hint={trans.__('it runs in; empty: the script’s own')}
          testid="gw-newjob-cwd"
          value={fields.cwd}
          change={cwd => form.set({ cwd })}
        />
        <ChoiceField
          label={trans.__('launcher')}
          hint=""
          testid="gw-newjob-launcher"
          value={fields.launcher}
          options={{
            torch: trans.__('torchrun'),
            accelerate: trans.__('accelerate launch'),
            mpi: trans.__('mpirun')
          }}
          change={launcher => form.set({ launcher })}
        />
        {fields.launcher !== 'torch' && (
          <TextField
            label={trans.__('its flags')}
            hint={trans.__('without those that place ranks')}
            testid="gw-newjob-flags"
            value={fields.launcherArgs}
            placeholder="--mixed_precision bf16"
            change={launcherArgs => form.set({ launcherArgs })}
          />
        )}
        <TextField
          label={trans.__('checkpoints')}
          hint={trans.__('where the script leaves them; empty: a folder of the job')}
          testid="gw-newjob-checkpoints"
          value={fields.checkpointDir}
          placeholder="checkpoints"
          change={checkpointDir => form.set({ checkpointDir })}
        />
        <Field
          label={trans.__('environment')}
          hint={trans.__('a line each')}
          error={faulty.includes('env') ? trans.__('Each line is NAME=value.') : ''}
        >
          <textarea
            className="gw-input"
            rows={3}
            value={fields.env}
            placeholder="NAME=value"
            spellCheck={false}
            aria-invalid={faulty.includes('env')}
            data-testid="gw-newjob-env"
            onChange={event => form.set({ env: event.target.value })}
          />
        </Field>
      </fieldset>
    </details>
  );
}
