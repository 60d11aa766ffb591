/** Why a job failed: one sentence, what to do, the lines that show it, and the button that helps. */

import React from 'react';

import type { Cause, Job } from '../api/types';
import { plain } from '../model/ansi';
import { ActionButton, Failure, useAction } from '../surface/parts';
import { useJob } from './context';

export function Diagnosis(props: { job: Job; cause: Cause }): React.ReactElement {
  const { job, cause } = props;
  const { model, actions, trans } = useJob();
  const whole = model.newestWhole;
  const resume = useAction(() => actions.resume(job, null));
  const { rank } = cause;
  return (
    <section
      className="gw-diagnosis"
      aria-label={trans.__('Why it failed')}
      data-testid="gw-diagnosis"
      data-code={cause.code}
    >
      <h3 data-testid="gw-diagnosis-message">{cause.message}</h3>
      {cause.hint && (
        <p className="gw-diagnosis-hint" data-testid="gw-diagnosis-hint">
          {cause.hint}
        </p>
      )}
      {cause.lines.length > 0 && (
        <pre
          className="gw-diagnosis-lines"
          tabIndex={0}
          aria-label={trans.__('What rank %1 wrote', rank ?? 0)}
          data-testid="gw-diagnosis-lines"
        >
          {plain(cause.lines.join('\n'))}
        </pre>
      )}
      <div className="gw-row">
        {whole && (
          <ActionButton action={resume} testid="gw-diagnosis-resume" mood="primary">
            {whole.step === null
              ? trans.__('Resume from the checkpoint…')
              : trans.__('Resume from step %1…', whole.step)}
          </ActionButton>
        )}
        <button
          className="gw-button"
          data-testid="gw-diagnosis-logs"
          onClick={() => model.show({ tab: 'logs', rank: rank ?? 0 })}
        >
          {rank === null ? trans.__('Show the logs') : trans.__('Logs of rank %1', rank)}
        </button>
        <code className="gw-hint">{cause.code}</code>
      </div>
      <Failure of={resume} />
    </section>
  );
}
