/** What notifications say of leases, and what they offer. */

import { Notification } from '@jupyterlab/apputils';
import { nullTranslator } from '@jupyterlab/translation';

import { LiveClient } from '../src/api/live';
import { WorkbenchApi } from '../src/api/rest';
import { tellOfLeases, textOf } from '../src/model/notices';
import { Workbench } from '../src/model/workbench';
import { FakeServer } from './server';
import { lease } from './things';

const NOTICE = { lease_id: 7, message: 'It ends in 5 min.', hint: 'Save your work.', at: 2000 };

describe('notifications of leases', () => {
  it('offer what can be done, and of each lease the newest alone is to be seen', () => {
    const settings = new FakeServer().settings();
    const workbench = new Workbench({
      api: new WorkbenchApi(settings),
      live: new LiveClient(settings, () => 1)
    });
    workbench.apply({ type: 'lease', data: lease({ id: 7 }) });
    tellOfLeases(workbench, nullTranslator.load('test'));
    const shown = (): string[][] =>
      Notification.manager.notifications.map(({ message, options }) => [
        message,
        ...(options.actions ?? []).map(one => one.label)
      ]);
    workbench.apply({ type: 'notice', data: { ...NOTICE, code: 'ends_soon' } });
    expect(shown()).toEqual([['It ends in 5 min. Save your work.', 'Keep it', 'Let it go']]);
    workbench.apply({ type: 'notice', data: { ...NOTICE, code: 'preempted' } });
    expect(shown()).toEqual([['It ends in 5 min. Save your work.', 'Let it go']]);
    workbench.apply({ type: 'notice', data: { ...NOTICE, code: 'kept', message: 'It stays.' } });
    expect(shown()).toEqual([['It stays. Save your work.']]);
    workbench.dispose();
  });

  it('say whole sentences of what to do, as many as are shown', () => {
    const hint = 'Save your work now. Your next request waits until something is free.';
    const long = { ...NOTICE, code: 'preempted', message: 'm'.repeat(100), hint };
    expect(textOf(long)).toBe(`${long.message} Save your work now.`);
    expect(textOf({ ...long, message: 'Short.' })).toBe(`Short. ${hint}`);
    expect(textOf({ ...long, message: 'm'.repeat(139) })).toBe('m'.repeat(139));
    expect(textOf({ ...long, hint: '' })).toBe(long.message);
  });
});
