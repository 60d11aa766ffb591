/** What is loaded with the first job page, form or comparison, as one piece. */

export { JobForm, specBody } from '../model/jobform';
export { sweepBody } from '../model/sweeps';
export { CompareWidget, JobWidget, NewJobWidget } from './pages';
export { Comparison } from './comparison';
export { JobModel, shownOf } from './model';
