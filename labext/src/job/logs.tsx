/** The tab "Logs": one rank's output or errors, live, with a search; the failing rank comes first. */

import React, { useEffect, useMemo, useRef, useState } from 'react';

import type { Job } from '../api/types';
import { ranksInOrder, telling } from '../model/jobs';
import type { Stream } from '../model/log';
import { LogModel } from '../model/log';
import { Check, Choice } from '../surface/choices';
import { useTold } from '../surface/follow';
import { ActionButton, Trouble, useAction } from '../surface/parts';
import { useJob } from './context';
import { SearchAll } from './logsearch';
import { LogText } from './logtext';

/** Milliseconds between two pictures of a log that is written without pause. */
const PICTURE = 120;

export function LogsTab(props: { job: Job }): React.ReactElement {
  const { job } = props;
  const { model } = useJob();
  const rank = Math.min(model.shown.rank ?? telling(job), job.ranks.length - 1);
  const [stream, setStream] = useState<Stream>(job.cause ? 'err' : 'out');
  const [words, setWords] = useState('');
  const [log, setLog] = useState<LogModel | null>(null);
  useEffect(() => {
    const made = new LogModel(model.workbench.api, model.id, rank, stream);
    const follow = (): void => made.activate(model.awake);
    follow();
    model.changed.connect(follow);
    setLog(made);
    return () => {
      model.changed.disconnect(follow);
      made.dispose();
    };
  }, [model, rank, stream]);
  return (
    <div className="gw-logs-inner" data-testid="gw-logs">
      {log && (
        <Reader
          key={`${rank} ${stream}`}
          job={job}
          log={log}
          setStream={setStream}
          words={words}
          setWords={setWords}
        />
      )}
    </div>
  );
}

function Reader(props: {
  job: Job;
  log: LogModel;
  setStream: (stream: Stream) => void;
  words: string;
  setWords: (words: string) => void;
}): React.ReactElement {
  const { job, log, setStream, words, setWords } = props;
  const { model, trans } = useJob();
  useTold(log.changed, PICTURE);
  const [only, setOnly] = useState(false);
  const [place, setPlace] = useState(0);
  const [follow, setFollow] = useState(words === '');
  const found = useFound(log, words);
  const earlier = useAction(() => log.earlier());
  const marked = found.length ? (found[place % found.length] ?? null) : null;
  const rows = only && words ? found : null;
  const step = (way: 1 | -1): void => {
    if (found.length) {
      setFollow(false);
      setPlace((place + way + found.length) % found.length);
    }
  };
  return (
    <>
      <div className="gw-row gw-logs-bar">
        <RankField job={job} rank={log.rank} />
        <Choice
          label={trans.__('stream')}
          value={log.stream}
          testid="gw-logs-stream"
          choose={value => setStream(value as Stream)}
        >
          <option value="out">{trans.__('output')}</option>
          <option value="err">{trans.__('errors')}</option>
        </Choice>
        <label className="gw-field">
          <span>{trans.__('find')}</span>
          <input
            className="gw-input gw-mod-find"
            type="search"
            value={words}
            spellCheck={false}
            data-testid="gw-logs-find"
            onChange={event => {
              setWords(event.target.value);
              setPlace(0);
            }}
            onKeyDown={event => {
              if (event.key === 'Enter') {
                step(event.shiftKey ? -1 : 1);
              }
            }}
          />
        </label>
        <span className="gw-item-what" role="status" data-testid="gw-logs-found">
          {words &&
            (found.length
              ? trans.__('%1 of %2', (place % found.length) + 1, found.length)
              : trans.__('not found'))}
        </span>
        <SearchAll
          words={words}
          go={(rank, stream) => {
            setStream(stream);
            model.show({ rank });
          }}
        />
        <Check on={only} testid="gw-logs-only" off={!words} turn={setOnly}>
          {trans.__('only these lines')}
        </Check>
        <Check on={follow} testid="gw-logs-follow" turn={setFollow}>
          {trans.__('follow')}
        </Check>
        <span className="gw-hint gw-logs-state">{stateWords(log, trans)}</span>
      </div>
      {log.problem && <Trouble problem={log.problem} />}
      {log.before > 0 && (
        <div className="gw-row gw-logs-before">
          <ActionButton action={earlier} testid="gw-logs-earlier">
            {trans.__('Read what was before (%1)', sizeOf(log.before))}
          </ActionButton>
          {earlier.problem && <Trouble problem={earlier.problem} retry={earlier.go} />}
        </div>
      )}
      <LogText
        lines={log.lines}
        numbered={log.fromStart}
        rows={rows}
        words={words}
        marked={rows ? null : marked}
        follow={follow}
        setFollow={setFollow}
        version={log.lines.length}
        label={trans.__('Log of rank %1', log.rank)}
        nothing={
          !log.ready
            ? trans.__('reading…')
            : rows
              ? trans.__('No line holds these words.')
              : log.ended
                ? trans.__('Nothing was written.')
                : trans.__('Nothing was written yet.')
        }
      />
    </>
  );
}

function stateWords(log: LogModel, trans: ReturnType<typeof useJob>['trans']): string {
  const dropped = log.lines.dropped
    ? `${trans.__('%1 older lines left out', log.lines.dropped)} · `
    : '';
  const count = trans._n('%1 line', '%1 lines', log.lines.length);
  return `${dropped}${count} · ${log.ended ? trans.__('ended') : trans.__('live')}`;
}

/** Which ranks there are, the one that failed first at the top. */
function RankField(props: { job: Job; rank: number }): React.ReactElement {
  const { job, rank } = props;
  const { model, trans } = useJob();
  const first = telling(job);
  const failed = job.cause !== null && job.cause.rank === first;
  const label = (one: number): string => {
    const state = job.ranks[one]?.state ?? '';
    return one === first && failed
      ? trans.__('%1 · failed first', one)
      : state === 'failed'
        ? trans.__('%1 · failed', one)
        : String(one);
  };
  return (
    <Choice
      label={trans.__('rank')}
      value={rank}
      testid="gw-logs-rank"
      choose={value => model.show({ rank: Number(value) })}
    >
      {ranksInOrder(job).map(one => (
        <option key={one} value={one}>
          {label(one)}
        </option>
      ))}
    </Choice>
  );
}

/** Where the words stand; only what is new is looked through when the log grows. */
function useFound(log: LogModel, words: string): readonly number[] {
  const { lines } = log;
  const known = useRef<{ words: string; length: number; shift: string; found: number[] }>({
    words: '',
    length: 0,
    shift: '',
    found: []
  });
  const { length } = lines;
  const shift = `${lines.dropped} ${log.before}`;
  return useMemo(() => {
    const was = known.current;
    const goesOn = was.words === words && was.shift === shift && was.length <= length;
    const from = goesOn ? Math.max(0, was.length - 1) : 0; // The last line may have grown.
    const before = goesOn ? was.found.filter(at => at < from) : [];
    const found = words ? [...before, ...lines.find(words, from)] : [];
    known.current = { words, length, shift, found };
    return found;
  }, [lines, words, length, shift]);
}

function sizeOf(bytes: number): string {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
