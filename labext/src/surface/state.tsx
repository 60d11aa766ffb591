/** The state of a cluster, a job or a sweep as a word in a fitting colour. */

import React from 'react';

import type { Cluster, Job, Sweep, SweepRun } from '../api/types';
import { useWords } from './words';

type State = Cluster['state'] | Job['state'] | Sweep['state'] | SweepRun['state'];

const MOOD: Record<State, 'busy' | 'good' | 'bad' | 'calm'> = {
  waiting: 'busy',
  starting: 'busy',
  running: 'good',
  stopping: 'busy',
  ended: 'calm',
  failed: 'bad',
  succeeded: 'good',
  stopped: 'calm',
  lost: 'bad',
  pending: 'calm',
  refused: 'bad',
  done: 'good'
};

export function StateTag(props: { state: State }): React.ReactElement {
  const trans = useWords();
  const words: Record<State, string> = {
    waiting: trans.__('waiting'),
    starting: trans.__('starting'),
    running: trans.__('running'),
    stopping: trans.__('stopping'),
    ended: trans.__('ended'),
    failed: trans.__('failed'),
    succeeded: trans.__('succeeded'),
    stopped: trans.__('stopped'),
    lost: trans.__('lost'),
    pending: trans.__('not started'),
    refused: trans.__('refused'),
    done: trans.__('done')
  };
  return (
    <span className={`gw-tag gw-mod-${MOOD[props.state]}`} data-testid="gw-state">
      {words[props.state]}
    </span>
  );
}
