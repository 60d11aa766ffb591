/** The logs of a job's ranks in the main area: one rank and stream at a time, followed to its end. */

import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import React, { useEffect, useRef, useState } from 'react';

import type { ApiError } from '../api/errors';
import { asApiError } from '../api/errors';
import type { Job } from '../api/types';
import type { Workbench } from '../model/workbench';

type Stream = 'out' | 'err';

/** Characters kept in the page. */
const KEPT = 500_000;
const EVERY = 1000;

export class JobLogs extends ReactWidget {
  constructor(
    private readonly workbench: Workbench,
    private readonly job: Job,
    private readonly trans: TranslationBundle
  ) {
    super();
    this.addClass('gw-logs');
  }

  protected override render(): React.ReactElement {
    return <Logs workbench={this.workbench} job={this.job} trans={this.trans} />;
  }
}

function Logs(props: {
  workbench: Workbench;
  job: Job;
  trans: TranslationBundle;
}): React.ReactElement {
  const { workbench, job, trans } = props;
  const [rank, setRank] = useState(0);
  const [stream, setStream] = useState<Stream>('out');
  const { text, ended, problem } = useLog(workbench, job.id, rank, stream);
  const end = useRef<HTMLPreElement>(null);
  const follow = useRef(true);
  useEffect(() => {
    if (follow.current && end.current) {
      end.current.scrollTop = end.current.scrollHeight;
    }
  }, [text]);
  return (
    <div className="gw-logs-inner" data-testid="gw-logs">
      <div className="gw-row">
        <label className="gw-field">
          <span>{trans.__('rank')}</span>
          <select
            className="gw-input"
            value={rank}
            onChange={event => setRank(Number(event.target.value))}
          >
            {job.ranks.map(one => (
              <option key={one.rank} value={one.rank}>
                {one.rank}
              </option>
            ))}
          </select>
        </label>
        <label className="gw-field">
          <span>{trans.__('stream')}</span>
          <select
            className="gw-input"
            value={stream}
            onChange={event => setStream(event.target.value as Stream)}
          >
            <option value="out">{trans.__('output')}</option>
            <option value="err">{trans.__('errors')}</option>
          </select>
        </label>
        <span className="gw-hint" role="status">
          {problem
            ? `${problem.message} ${problem.hint}`
            : ended
              ? trans.__('ended')
              : trans.__('following…')}
        </span>
      </div>
      <pre
        ref={end}
        tabIndex={0}
        data-testid="gw-logs-text"
        aria-label={trans.__('Log of rank %1', rank)}
        onScroll={event => {
          const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
          follow.current = scrollHeight - scrollTop - clientHeight < 40;
        }}
      >
        {text || (ended ? trans.__('Nothing was written.') : '')}
      </pre>
    </div>
  );
}

/** Read from offset to offset while the log grows. */
function useLog(
  workbench: Workbench,
  id: string,
  rank: number,
  stream: Stream
): { text: string; ended: boolean; problem: ApiError | null } {
  const [text, setText] = useState('');
  const [ended, setEnded] = useState(false);
  const [problem, setProblem] = useState<ApiError | null>(null);
  useEffect(() => {
    let gone = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let offset = 0;
    setText('');
    setEnded(false);
    const read = async (): Promise<void> => {
      try {
        const chunk = await workbench.api.jobLog(id, rank, stream, offset);
        if (gone) {
          return;
        }
        const grew = chunk.next_offset > offset;
        offset = chunk.next_offset;
        setProblem(null);
        if (chunk.text) {
          setText(was => (was + chunk.text).slice(-KEPT));
        }
        if (chunk.ended && !grew) {
          setEnded(true);
          return;
        }
        timer = setTimeout(() => void read(), grew ? 50 : EVERY);
      } catch (reason) {
        if (!gone) {
          setProblem(asApiError(reason));
          timer = setTimeout(() => void read(), 5 * EVERY);
        }
      }
    };
    void read();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [workbench, id, rank, stream]);
  return { text, ended, problem };
}
