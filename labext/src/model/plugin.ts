/** Makes the state and keeps it fresh; takes over the settings; turns notices into notifications. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { LiveClient } from '../api/live';
import { WorkbenchApi } from '../api/rest';
import type { Notice } from '../api/types';
import { sentenceOf } from '../talk';
import { IGpuWorkbench } from '../tokens';
import { FormModel } from './form';
import type { IPreferences } from './settings';
import { DEFAULTS, preferencesOf } from './settings';
import { profileName } from './words';
import { Workbench } from './workbench';

export const PLUGIN_ID = 'jupyterlab-gpu-workbench:plugin';

export const modelPlugin: JupyterFrontEndPlugin<IGpuWorkbench> = {
  id: PLUGIN_ID,
  description: 'The state of GPU slices, clusters and jobs.',
  autoStart: true,
  optional: [ISettingRegistry, ITranslator],
  provides: IGpuWorkbench,
  activate: (
    app: JupyterFrontEnd,
    registry: ISettingRegistry | null,
    translator: ITranslator | null
  ): IGpuWorkbench => {
    const trans = (translator ?? nullTranslator).load('jupyterlab_gpu_workbench');
    const { serverSettings } = app.serviceManager;
    const live = new LiveClient(serverSettings);
    const workbench = new Workbench({ api: new WorkbenchApi(serverSettings), live });
    const look = (): void => live.hide(document.hidden);
    document.addEventListener('visibilitychange', look);
    look();
    const form = new FormModel();
    let preferences: IPreferences = DEFAULTS;

    workbench.noticed.connect((_, notice) => tell(workbench, trans, notice));
    workbench.granted.connect((_, { lease, waited }) => {
      if (waited && preferences.notifyGrants) {
        const text = trans.__('Your slice %1 is there.', profileName(lease.profile));
        Notification.success(text, { autoClose: 8000 });
      }
    });
    void registry?.load(PLUGIN_ID).then(settings => {
      const take = (): void => {
        const was = preferences;
        preferences = preferencesOf(settings);
        workbench.pollEvery = preferences.pollSeconds * 1000;
        if (was.memory !== preferences.memory) {
          form.typeMemory(preferences.memory);
        }
        if (was.hours !== preferences.hours) {
          form.set({ seconds: Math.round(preferences.hours * 3600) });
        }
      };
      take();
      settings.changed.connect(take);
    });
    void workbench.start();

    return {
      workbench,
      form,
      preferences: () => preferences,
      request: body => workbench.ask(body)
    };
  }
};

/** What, when, why; and the two buttons where it is about a lease that is still mine. */
function tell(workbench: Workbench, trans: TranslationBundle, notice: Notice): void {
  const { lease_id, message, hint } = notice;
  const text = hint ? `${message} ${hint}` : message;
  const lease = lease_id === null ? undefined : workbench.leases.get(lease_id);
  if (!lease) {
    Notification.info(text, { autoClose: 10_000 });
    return;
  }
  const attempt = (run: Promise<void>): void => {
    run.catch((reason: unknown) => Notification.error(sentenceOf(reason)));
  };
  Notification.warning(text, {
    autoClose: false,
    actions: [
      {
        label: trans.__('Keep it'),
        displayType: 'accent',
        callback: () => attempt(workbench.extend(lease.id, 3600))
      },
      {
        label: trans.__('Let it go'),
        callback: () => attempt(workbench.release(lease.id))
      }
    ]
  });
}
