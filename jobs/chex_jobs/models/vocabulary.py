"""The words that the demonstration's tokenizer knows by name.

Words of chest X-ray reports in general, not of one archive; any other word falls into one of a fixed number
of hash buckets (`chex_jobs.models.word_tokenizer`). The order is the numbering: a word is only ever appended,
or stored weights of the demonstration tower would mean other words.
"""

_FUNCTION_WORDS = """
a an and are as at be been both but by can cannot for from had has have if in is it its may no nor not of
on or other over seen shows since so than that the their there these this those to was were which with
within without
"""

_REPORT = """
above acute again all also any apparent appear appearance appears available below best between bilateral
bilaterally calcified change changed changes chronic clear clearly clinical compared comparison
compatible concerning consider consistent correlate correlation current decreased definite demonstrate
demonstrated demonstrates development diffuse due enlarged enlargement evaluate evaluation evidence
evident examination exam exclude excluded expected extensive extending film films finding findings focal
follow followup frontal further given grossly identified image images impression improved improvement
improving includes increase increased increasing indicated indication interval intact interpretation
known large lateral least left likely limited low lower marked markedly mid mild mildly minimal minimally
moderate moderately more most moved multiple negative new none normal normally noted now number obscured
overall partial partially patchy patient persistent persists positive possible possibly portable
posterior presence present preserved previous previously prior probable probably prominent quality
radiograph radiographic radiographs recent recommend recommended redemonstrated related remain remains
repeat report represent representing resolved resolution right scattered section severe severely sharp
side similar single size slight slightly small stable status still study subtle suggest suggested
suggesting suggests suspected suspicious technique two unchanged underlying unilateral unremarkable up
upper view views visible visualised visualized widespread worse worsened worsening
"""

_ANATOMY = """
abdomen air airspace airway angle angles anterior aorta aortic apex apical apices arch arteries artery
azygos base bases basal basilar body bone bones border borders bowel breast bronchi bronchial bronchus
cardiac cardiomediastinal cardiophrenic cardiopulmonary carina central chest clavicle clavicles contour
contours costophrenic degenerative diaphragm diaphragms dome fissure gastric heart hemidiaphragm
hemidiaphragms hila hilar hilum interstitial interstitium knob lingula lobe lobes lower lung lungs lymph
markings mediastinal mediastinum middle muscle neck nodes osseous paratracheal parenchyma parenchymal
perihilar peripheral pleura pleural pulmonary retrocardiac rib ribs scapula shoulder silhouette soft
space spaces spine sternal sternum stomach structures subdiaphragmatic subpleural thoracic thorax tissue
tissues trachea tracheal vascular vascularity vasculature vein venous ventricle ventricular vertebra
vertebrae vertebral vessel vessels volume volumes wall zone zones
"""

_FINDINGS = """
abnormal abnormalities abnormality abscess adenopathy aeration aneurysm aspiration atelectasis
atelectatic atherosclerosis atherosclerotic blunted blunting bullae bullous calcification calcifications
callus cardiomegaly cavitary cavitation cavity cephalization collapse congested congestion congestive
consolidation consolidations consolidative copd covid cyst dense densities density deviation dilated
disease displaced distension edema effusion effusions elevated elevation emphysema emphysematous empyema
eventration failure fibrosis fibrotic fluid fracture fractured fractures granuloma granulomas ground
glass haziness hazy healed hemothorax hernia hiatal hydropneumothorax hyperexpanded hyperinflated
hyperinflation hyperlucent hypoventilatory infarct infection infectious infiltrate infiltrates
infiltration inflammatory inflated kyphosis lesion lesions linear lucency lymphadenopathy malignancy
malignant mass masses metastases metastatic neoplasm nodular nodule nodules obstruction oedema old
opacification opacified opacities opacity osteopenia osteophytes overload pathology plaque plaques
pneumomediastinum pneumonia pneumonitis pneumoperitoneum pneumothoraces pneumothorax process reticular
reticulonodular sarcoidosis scar scarring scoliosis shadow shadowing shift spondylosis streaky
subcutaneous subsegmental swelling tension thickened thickening tortuosity tortuous tuberculosis tumor
widened widening
"""

_DEVICES_AND_PROCEDURES = """
ap atrium biopsy bypass cable cardiac catheter catheters cava central clip clips coronary device devices
drain drainage electrode endotracheal enteric generator graft hardware icd implant inserted internal
intubated intubation jugular junction lead leads line lines mask monitoring nasogastric orogastric
overlying pa pacemaker pacer picc placed placement port position positioned removal removed replacement
stent sternotomy subclavian superior supine support surgery surgical svc terminates tip tracheostomy
transplant tube tubes upright valve wires
"""

_SIGNS_AND_MEASURES = """
0 1 2 3 4 5 6 7 8 9 cm mm . , ; : ( ) / - + % ' " ?
"""

_FURTHER_WORDS_OF_REPORTS = """
abdominal absence active adjacent advised aerated age airways along alveolar amount appearing appreciated
appropriate approximately area areas arthritic artifact aspect associated atrial attention atypical
bandlike before biapical bibasilar bodies bony borderline bronchovascular cabg calcific cardio
cardiothoracic cervical chf cholecystectomy clinically coin collapsed collection conceivable concern
concerns conclusion configuration confluent consists constant consulted continued contrast convincing
could course crowding ct curvature deep defibrillator defined deformities deformity demonstrable
demonstration depicts descending detail dextroscoliosis diagnosis diameter differential difficult disc
discrete discussed dislocation distal distinct dual earlier early ectasia ectatic endplate engorgement
erect evaluated examinations expanded external factors fat few first flattened flattening foreign free
fusion granulomatous greater haze head helpful here history however humeral hydrothorax hyperexpansion
hypertension hypoinflated hypoinflation ill imaging implanted inconspicuous indeterminate indwelling
inferior injury inspiration intraperitoneal intrathoracic involving irregular joint knee l last layering
level limit limits lingular lobar loss lumbar made material measuring medial midline midlung midthoracic
multilevel near nipple node note nothing obscure obstructive obtained one only otherwise out outside
overlies overt pathological pattern pelvis performed pericardial please pneumonic post postoperative
postsurgical preoperative progressive projecting projection projects prominence proximal ptx quadrant
query question ratio redemonstration referring reflect region represents request residual respectfully
result reveal reveals rotated rotation round rounded ruled s same scan secondary segment semi sequela
several show sided significant significantly silhouettes situ skeletal some somewhat specifically state
substantial suggestive sulcus superimposed suspect suspicion t team telephone th thoracolumbar through
throughout time today top trace typical under used vague versus wedge well would x xxxx yesterday
"""

_LISTS = (
    _FUNCTION_WORDS,
    _REPORT,
    _ANATOMY,
    _FINDINGS,
    _DEVICES_AND_PROCEDURES,
    _SIGNS_AND_MEASURES,
    _FURTHER_WORDS_OF_REPORTS,
)

WORDS: tuple[str, ...] = tuple(dict.fromkeys(word for words in _LISTS for word in words.split()))
"""Every word once, lower case, in the order of its number."""
